"""`pytest --fast`: the tests without those that cost most. `pytest --measure-costs`: find out which these are.

A test's cost is the processor's time that it and the commands it starts take, which other work on the machine does not
change as it does the time on the clock. What several tests share, such as a module's fixture, costs each of them its
part, whichever came first and had it made. Of all tests the cheapest run in `--fast`, as many as cost BUDGET seconds
together; the others are listed in costly.txt, with what they cost. A test that is not listed runs.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

COSTLY = Path(__file__).with_name("costly.txt")
BUDGET = 34.0  # seconds of one core, of the 120 that two have in a minute; starting them takes most of the rest

_started = pytest.StashKey[float]()
_made = pytest.StashKey[dict[str, float]]()
_costs = pytest.StashKey["Costs"]()


@dataclass
class Costs:
    """What was measured, in seconds."""

    tests: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    fixtures: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))  # those of several tests
    users: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # the tests of each fixture

    def add(self, test: str, own: float, made: Mapping[str, float], used: Iterable[str]) -> None:
        """A test's own time, that of each shared fixture that was made during it, and all shared ones that it uses."""
        self.tests[test] += own
        for fixture, seconds in made.items():
            self.fixtures[fixture] = max(self.fixtures[fixture], seconds)  # every process makes its own
        for fixture in used:
            self.users[fixture].add(test)

    def in_all(self) -> dict[str, float]:
        """Of each test with its part of the fixtures that it shares."""
        shared = defaultdict[str, float](float)
        for fixture, tests in self.users.items():
            for test in tests:
                shared[test] += self.fixtures[fixture] / len(tests)
        return {test: own + shared[test] for test, own in self.tests.items()}


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
    config.stash[_costs], config.stash[_made] = Costs(), {}
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
    item.config.stash[_made].clear()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    begun = _processor_time()
    value = yield
    if fixturedef.scope != "function":
        request.config.stash[_made][_fixture(fixturedef)] = _processor_time() - begun
    return value


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "teardown":
        made = dict(item.config.stash[_made])
        own = _processor_time() - item.stash[_started] - sum(made.values())
        found = getattr(item, "_fixtureinfo", None)
        definitions = [found.name2fixturedefs[name][-1] for name in found.name2fixturedefs] if found else []
        used = [_fixture(definition) for definition in definitions if definition.scope != "function"]
        report.user_properties.append(("costs", {"own": own, "made": made, "used": used}))
    return report


class _Collector:
    """The costs of all tests, of whichever process ran them, and at the end the list."""

    def __init__(self, config: pytest.Config) -> None:
        self._costs = config.stash[_costs]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties:
            if name == "costs" and isinstance(value, dict):
                self._costs.add(_function(report.nodeid), **value)

    def pytest_sessionfinish(self) -> None:
        total, lines = 0.0, []
        for test, cost in sorted(self._costs.in_all().items(), key=lambda pair: pair[1]):
            total += cost
            if total > BUDGET:
                lines.append(f"{cost:8.2f} {test}\n")
        COSTLY.write_text("".join(reversed(lines)), encoding="utf-8")


def _function(nodeid: str) -> str:
    return nodeid.partition("[")[0]


def _fixture(definition: pytest.FixtureDef[object]) -> str:
    return f"{definition.baseid}::{definition.argname}"


def _processor_time() -> float:
    """Of this process and of those it started and has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
