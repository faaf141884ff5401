"""`pytest --fast`: the tests without those that cost most. `pytest --measure-costs`: find out which these are.

A test's cost is the processor's time that it and the commands it starts take, which other work on the machine does not
change as it does the time on the clock. Of all tests the cheapest run in `--fast`, as many as cost BUDGET seconds
together; the others are listed in costly.txt, with what they cost. A test that is not listed runs.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path

import pytest

COSTLY = Path(__file__).with_name("costly.txt")
BUDGET = 34.0  # seconds of one core, of the 120 that two have in a minute; starting them takes most of the rest

_started = pytest.StashKey[float]()
_costs = pytest.StashKey[dict[str, float]]()


def costly() -> dict[str, float]:
    """The cost of each listed test in seconds, by `FILE::TEST` (all its parameters together)."""
    lines = [line.split() for line in COSTLY.read_text(encoding="utf-8").splitlines()]
    return {test: float(seconds) for seconds, test in lines}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("costs")
    group.addoption("--fast", action="store_true", help="without the costly tests: a minute on two cores")
    group.addoption(
        "--measure-costs", action="store_true", help=f"run all tests, write the costly ones to {COSTLY.name}"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_costs] = defaultdict(float)
    if not hasattr(config, "workerinput") and config.getoption("--measure-costs"):
        config.pluginmanager.register(_Collector(config), "costs-collector")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--fast"):
        return
    left_out = costly()
    config.hook.pytest_deselected(items=[item for item in items if _function(item.nodeid) in left_out])
    items[:] = [item for item in items if _function(item.nodeid) not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    item.stash[_started] = _processor_time()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "teardown":
        report.user_properties.append(("processor_time", _processor_time() - item.stash[_started]))
    return report


class _Collector:
    """The costs of all tests, of whichever process ran them, and at the end the list."""

    def __init__(self, config: pytest.Config) -> None:
        self._costs = config.stash[_costs]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties:
            if name == "processor_time":
                self._costs[_function(report.nodeid)] += float(str(value))

    def pytest_sessionfinish(self) -> None:
        total, lines = 0.0, []
        for test, cost in sorted(self._costs.items(), key=lambda pair: pair[1]):
            total += cost
            if total > BUDGET:
                lines.append(f"{cost:8.2f} {test}\n")
        COSTLY.write_text("".join(reversed(lines)), encoding="utf-8")


def _function(nodeid: str) -> str:
    return nodeid.partition("[")[0]


def _processor_time() -> float:
    """Of this process and of those it started and has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
