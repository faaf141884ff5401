"""Which tests `--fast` leaves out: what a test costs where several share a fixture."""

from __future__ import annotations

from costs import Costs


def test_a_shared_fixture_costs_each_of_its_tests_the_same() -> None:
    costs = Costs()
    costs.add("first", 0.5, {"module": 6.0}, ["module"])  # came first, and had it made
    costs.add("first", 0.25, {}, ["module"])  # its second case
    costs.add("second", 1.0, {"module": 4.0}, ["module"])  # in another process, which made its own
    costs.add("alone", 2.0, {}, [])
    assert costs.in_all() == {"first": 3.75, "second": 4.0, "alone": 2.0}
