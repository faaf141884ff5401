"""A competition's tiers: named sets of thresholds, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from submission.errors import Problem
from submission.scorecard import METRICS


@dataclass(frozen=True)
class Tier:
    """A named set of thresholds, metric -> value; a metric that is not in it is not judged.

    `mark`, in percent, is what the tier is worth where the competition gives marks.
    """

    name: str
    thresholds: dict[str, float]
    mark: float | None = None


def problems_of_tiers(tiers: Sequence[Tier], gate: str | None) -> Iterator[Problem]:
    """What is wrong with the tiers of a competition whose gate is the tier called `gate`."""
    names = [tier.name for tier in tiers]
    for index, tier in enumerate(tiers):
        if not tier.thresholds:
            yield Problem(
                f"tiers.{index}", f"the tier {tier.name!r} has no threshold", f"set one of {', '.join(METRICS)}"
            )
        if tier.name in names[:index]:
            yield Problem(f"tiers.{index}.name", f"the name {tier.name!r} is taken by an earlier tier")
    if gate is not None and gate not in names:
        yield Problem("competition.gate", f"there is no tier {gate!r}", f"the tiers are: {', '.join(names) or 'none'}")


def problems_of_marks(tiers: Sequence[Tier], marks: Mapping[str, float]) -> Iterator[Problem]:
    """What is wrong with the marks that the tiers give, each metric with its share in `marks`."""
    marked = [tier for tier in tiers if tier.mark is not None]
    for metric in marks:
        if metric not in METRICS:
            yield Problem(f"marks.{metric}", "is not a metric", f"the metrics are: {', '.join(METRICS)}")
        elif missing := [tier.name for tier in marked if metric not in tier.thresholds]:
            yield Problem(f"marks.{metric}", f"the tier {missing[0]!r} has a mark but no threshold for it")
    if marks and abs(sum(marks.values()) - 1) > 1e-9:
        yield Problem("marks", f"the metrics' shares add up to {sum(marks.values()):g}, not to 1")
    if bool(marks) != bool(marked):
        has, lacks = ("[marks]", "a tier with a mark") if marks else ("a tier with a mark", "[marks]")
        yield Problem("marks", f"there is {has} but not {lacks}", "marks need both: mark = 90, and [marks] fid = 0.5 …")
