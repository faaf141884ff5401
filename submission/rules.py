"""The rules of a competition beside its tiers, `[rules]` in competition.toml. Who breaks one does not pass the gate.

    [rules]
    max_reference_copies = 50     # images that are a reference, or look like one
    max_training_copies = 10      # images that are a training image; needs `training_hashes`
    max_repeats = 20              # images that repeat the image of another prompt
    max_flat = 0                  # images without structure
    [rules.bounds]                # a value that is too good to be true is as wrong as one that is too bad
    fid = [3.0, 900.0]
    clip_t = { max = 0.6 }        # or only one of the two

MLPerf Inference bounds its text-to-image task in this way: SDXL's FID must lie in [23.01, 23.95] (submission_checker).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Discriminator, Field, GetPydanticSchema, Tag
from pydantic_core import core_schema

from submission import commands
from submission.errors import Problem
from submission.judging import Table
from submission.metrics import METRICS
from submission.scorecard import FINDINGS, Finding, RuleCheck, Score

_Count = Annotated[int, Field(ge=0)]
_MetricName = Annotated[str, GetPydanticSchema(lambda _, __: core_schema.literal_schema(list(METRICS)))]


class _Bound(Table):
    """One bound of a metric, or both."""

    min: float | None = None
    max: float | None = None


def _ordered(bounds: list[float] | _Bound) -> list[float] | _Bound:
    low, high = _sides(bounds)
    if low is None and high is None:
        raise ValueError("has neither a min nor a max")
    if low is not None and high is not None and low > high:
        raise ValueError("the lower bound is above the upper one")
    return bounds


def _sides(bounds: list[float] | _Bound) -> tuple[float | None, float | None]:
    return (bounds.min, bounds.max) if isinstance(bounds, _Bound) else (bounds[0], bounds[1])


_PAIR, _TABLE = "[low, high]", "{min, max}"  # as they stand in an error's place


def _form(bounds: object) -> str:
    return _TABLE if isinstance(bounds, dict | _Bound) else _PAIR


_Pair = Annotated[list[float], Field(min_length=2, max_length=2)]
_Bounds = Annotated[
    Annotated[_Pair, Tag(_PAIR)] | Annotated[_Bound, Tag(_TABLE)], Discriminator(_form), AfterValidator(_ordered)
]


class Rules(Table):
    """The table `[rules]`: a rule that is not set is not checked. `bounds` maps a metric to its [low, high], or to
    one of them as { min = low } or { max = high }."""

    max_reference_copies: _Count | None = None
    max_training_copies: _Count | None = None
    max_repeats: _Count | None = None
    max_flat: _Count | None = None
    bounds: dict[_MetricName, _Bounds] = Field(default_factory=dict)

    @property
    def limits(self) -> dict[str, int]:
        """How many images each finding may have, for the rules that are set."""
        limits = {name: getattr(self, f"max_{name}") for name in FINDINGS}
        return {name: limit for name, limit in limits.items() if limit is not None}

    def problems(self, training_hashes: str | None) -> list[Problem]:
        """What is wrong with the rules of a competition that names these `training_hashes`."""
        if self.max_training_copies is None or training_hashes is not None:
            return []
        hint = f"write them with {commands.module('submission hashes')} FOLDER --out FILE, and name FILE there"
        return [Problem("rules.max_training_copies", "needs competition.training_hashes", hint)]

    def check(
        self, findings: Mapping[str, Finding], scores: Mapping[str, Score], *, whole: bool = True
    ) -> list[RuleCheck]:
        """The verdict on each rule.

        Bounds hold for `whole` submissions only: the FID of a few images is far from that of all.
        """
        checks = [_count(name, limit, findings.get(name)) for name, limit in self.limits.items()]
        if whole:
            checks += [_bound(name, *_sides(bounds), scores.get(name)) for name, bounds in self.bounds.items()]
        return checks


def _count(name: str, limit: int, finding: Finding | None) -> RuleCheck:
    rule = f"max_{name}"
    if finding is None:
        return RuleCheck(rule, None, None, "could not be checked: there is nothing to compare the images with")
    if finding.count <= limit:
        return RuleCheck(rule, finding.count, True)
    examples = f", such as {finding.examples[0]}" if finding.examples else ""
    return RuleCheck(rule, finding.count, False, f"{finding.count} {FINDINGS[name]}, {limit} allowed{examples}")


def _bound(name: str, low: float | None, high: float | None, score: Score | None) -> RuleCheck:
    rule, metric = f"bounds.{name}", METRICS[name]
    if score is None or score.value is None:
        return RuleCheck(rule, None, None, f"could not be checked: {metric.label} was not measured")
    too_high = high is not None and score.value > high
    if not too_high and (low is None or score.value >= low):
        return RuleCheck(rule, score.value, True)
    why = "too good to be true" if too_high == metric.higher_is_better else "worse than anything that works"
    where = f"above {metric.text(high)}" if too_high else f"below {metric.text(low)}"
    if interval := metric.interval(low, high):
        where = f"outside {interval}"
    return RuleCheck(rule, score.value, False, f"{metric.label} {metric.text(score.value)} is {why}, {where}")
