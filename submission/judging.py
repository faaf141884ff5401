"""A competition's tiers and marks: what can be wrong with them, and the verdict of scores on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StringConstraints, create_model

from submission.errors import Problem
from submission.metrics import METRICS
from submission.scorecard import Mark, Score, TierCheck, TierResult

Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Table(BaseModel):
    """A table of competition.toml, read strictly."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Tier:
    """A named set of thresholds, metric -> value; a metric that is not in it is not judged.

    `mark`, in percent, is what the tier is worth where the competition gives marks.
    """

    name: str
    thresholds: dict[str, float]
    mark: float | None = None


_THRESHOLDS: dict[str, Any] = {
    name: (Annotated[float, Field(ge=metric.low, le=metric.high)] | None, None) for name, metric in METRICS.items()
}
_MARK = Annotated[float, Field(ge=0, le=100)] | None
_TABLE = create_model("_TierTable", __base__=Table, name=Line, mark=(_MARK, None), **_THRESHOLDS)


def _tier(table: object) -> Tier:
    values = _TABLE.model_validate(table).model_dump()
    return Tier(values["name"], {name: values[name] for name in METRICS if values[name] is not None}, values["mark"])


# A tier as competition.toml writes it, [[tiers]]: each metric's name is a key.
TierTable = Annotated[Tier, PlainValidator(_tier)]


def problems_of_tiers(tiers: Sequence[Tier], gate: str | None) -> Iterator[Problem]:
    """What is wrong with the tiers of a competition whose gate is the tier called `gate`."""
    names = [tier.name for tier in tiers]
    for index, tier in enumerate(tiers):
        if not tier.thresholds:
            hint = f"set one of {', '.join(METRICS)}"
            yield Problem(f"tiers.{index}", f"the tier {tier.name!r} has no threshold", hint)
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


def judge(scores: Mapping[str, Score], tiers: Iterable[Tier]) -> list[TierResult]:
    """The verdict of `scores` on each tier, in the competition's order."""
    results = []
    for tier in tiers:
        checks = []
        for name, threshold in tier.thresholds.items():
            value = scores[name].value if name in scores else None
            passed = value is not None and METRICS[name].passes(value, threshold)
            checks.append(TierCheck(name, threshold, value, None if value is None else value - threshold, passed))
        results.append(TierResult(tier.name, all(check.passed for check in checks), checks))
    return results


def mark(scores: Mapping[str, Score], tiers: Sequence[Tier], shares: Mapping[str, float]) -> Mark | None:
    """Each metric earns its share of the best mark among the tiers whose threshold for it is reached.

    A submission may so reach one tier with one metric and another with the next. `shares` add up to 1; None when there
    are none, or when one of their metrics was not measured.
    """
    earned = {}
    for name, share in shares.items():
        if name not in scores or (value := scores[name].value) is None:
            return None
        reached = [
            tier.mark for tier in tiers if tier.mark is not None and METRICS[name].passes(value, tier.thresholds[name])
        ]
        earned[name] = share * max(reached, default=0.0)
    return Mark(sum(earned.values()), earned) if shares else None


def no_mark(mark: Mark) -> Mark:
    """The mark of a submission that breaks a rule of the competition, whatever its scores: it earns none."""
    return Mark(0.0, dict.fromkeys(mark.earned, 0.0))
