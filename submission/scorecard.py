"""What was measured: scores with their intervals, the verdict per tier, and the fingerprint of what measured them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, StringConstraints, TypeAdapter, ValidationError

from submission import strict_json
from submission.suspicions import FINDINGS, Suspicions

if TYPE_CHECKING:
    from submission.competition import Tier


@dataclass(frozen=True)
class Metric:
    """A metric's column name, its label for people, its direction, and the digits it is printed with."""

    name: str
    label: str
    higher_is_better: bool
    digits: int

    @property
    def arrow(self) -> str:
        """The direction in which the metric gets better."""
        return "↑" if self.higher_is_better else "↓"

    def passes(self, value: float, threshold: float) -> bool:
        """Whether `value` reaches `threshold`; being equal is enough."""
        return value >= threshold if self.higher_is_better else value <= threshold


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("fid", "FID", False, 2),
        Metric("clip_i", "CLIP-I", True, 4),
        Metric("clip_t", "CLIP-T", True, 4),
        Metric("is", "IS", True, 2),
        Metric("psnr", "PSNR", True, 2),
        Metric("ssim", "SSIM", True, 4),
    )
}

# More metrics of the same features, measured on request; neither tiers nor ranks know them.
EXTRA_METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("kid", "KID", False, 5),
        Metric("precision", "precision", True, 4),
        Metric("recall", "recall", True, 4),
        Metric("density", "density", True, 4),
        Metric("coverage", "coverage", True, 4),
        Metric("cmmd", "CMMD", False, 3),
    )
}

SCHEMA_VERSION = 1
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
_Time = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
_Look = Annotated[str, StringConstraints(pattern=r"^[a-z][A-Za-z0-9+/]{0,1000}$")]


@dataclass(frozen=True)
class Score:
    """A finite value with its 95 % interval, or None; `reason` says why the value, or else the interval, is missing."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None
    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise ValueError(f"{name} of a score is {number}; a score is finite, or None with a reason")

    def too_close(self, threshold: float) -> bool:
        """Whether the interval holds `threshold`: then these images cannot tell on which side of it the score is."""
        return self.low is not None and self.high is not None and self.low < threshold < self.high


@dataclass(frozen=True)
class TierCheck:
    """One threshold of a tier. `difference` is value - threshold, None when the value is missing."""

    metric: str
    threshold: float
    value: float | None
    difference: float | None
    passed: bool
    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class TierResult:
    """The verdict on one tier: passed when every threshold is reached; a missing value does not reach any."""

    name: str
    passed: bool
    checks: list[TierCheck]
    __pydantic_config__ = _STRICT


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


@dataclass(frozen=True)
class Mark:
    """What a submission is worth in percent: `value`, the sum of what each metric `earned`."""

    value: float
    earned: dict[str, float]
    __pydantic_config__ = _STRICT


def mark(scores: Mapping[str, Score], tiers: Iterable[Tier], shares: Mapping[str, float]) -> Mark | None:
    """Each metric earns its share of the best mark among the tiers whose threshold for it is reached.

    A submission may so reach one tier with one metric and another with the next. `shares` add up to 1; None when there
    are none, or when one of their metrics was not measured.
    """
    if not shares or any(name not in scores or scores[name].value is None for name in shares):
        return None
    marked = [tier for tier in tiers if tier.mark is not None]
    earned = {}
    for name, share in shares.items():
        value = scores[name].value
        reached = [tier.mark for tier in marked if METRICS[name].passes(value, tier.thresholds[name])]
        earned[name] = share * max(reached, default=0.0)
    return Mark(sum(earned.values()), earned)


def no_mark(mark: Mark) -> Mark:
    """The mark of a submission that breaks a rule of the competition, whatever its scores: it earns none."""
    return Mark(0.0, dict.fromkeys(mark.earned, 0.0))


@dataclass(frozen=True)
class Scorecard:
    """The result of scoring one submission.

    `submission` is the sha256 of its content, `n` the number of images scored, `fingerprint` the protocol (scorecards
    with equal fingerprints rank together), `accuracy` the share in [0, 1] of images that show each attribute asked
    for, `context` numbers to read the scores against (such as the references' own CLIP-T), `ranks` False when only a
    part was scored, `manifest` the submission's model, seed and settings, `extra` the scores of EXTRA_METRICS, None
    where they were not asked for, `mark` in percent, None where the competition gives none, `suspicions` what speaks
    against the images, None in a scorecard of a version that did not look, `look` a digest of the images that near
    copies share (`submission.looks`), `created_at` when it was measured, in UTC: the same images measured alike are the
    same scorecard whenever that was, `families` how many families of prompts there were, which the intervals draw anew,
    None in a scorecard of a version whose intervals drew single images.
    """

    competition: str
    submission: str
    name: str
    n: int
    scores: dict[str, Score]
    tiers: list[TierResult]
    fingerprint: dict[str, str | int | None]
    notes: list[str] = field(default_factory=list)
    accuracy: dict[str, float] | None = None
    context: dict[str, float] = field(default_factory=dict)
    ranks: bool = True
    manifest: dict[str, Any] | None = None
    extra: dict[str, Score] | None = None
    mark: Mark | None = None
    suspicions: Suspicions | None = None
    look: _Look | None = None
    schema_version: Literal[1] = SCHEMA_VERSION
    created_at: _Time | None = field(default=None, compare=False)
    families: int | None = None
    __pydantic_config__ = _STRICT

    @property
    def suspect(self) -> bool:
        """Whether a rule of the competition is broken."""
        return self.suspicions is not None and bool(self.suspicions.broken)

    @property
    def fingerprint_sha256(self) -> str:
        """The fingerprint as one hash, for comparing."""
        return hashlib.sha256(json.dumps(self.fingerprint, sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """The scorecard as JSON values; without `reason`, `accuracy` and the like where there is none."""
        result = _SCORECARD.dump_python(self, mode="json")
        for score in (*result["scores"].values(), *(result["extra"] or {}).values()):
            if score["reason"] is None:
                del score["reason"]
        for name in ("accuracy", "extra", "mark", "suspicions", "look", "created_at", "families"):
            if result[name] is None:
                del result[name]
        return result

    def to_json(self) -> str:
        """`to_dict` as text. Raises ValueError for a number that is not finite."""
        return json.dumps(self.to_dict(), allow_nan=False, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, data: bytes | str) -> Scorecard:
        """The scorecard in `data`, strictly. Raises ValueError with all that is wrong."""
        _, problems = strict_json.parse(data)
        if not problems:
            try:
                card = _SCORECARD.validate_json(data.encode() if isinstance(data, str) else data)
            except ValidationError as error:
                problems = [f"{'.'.join(map(str, entry['loc']))}: {entry['msg']}" for entry in error.errors()]
            else:
                problems = [f"scores: {name!r} is not a metric" for name in card.scores if name not in METRICS]
                found = card.suspicions.findings if card.suspicions else {}
                problems += [f"suspicions: {name!r} is not one" for name in found if name not in FINDINGS]
                problems += [f"extra: {name!r} is not one" for name in card.extra or {} if name not in EXTRA_METRICS]
        if problems:
            raise ValueError("not a scorecard: " + "; ".join(problems))
        return card


_SCORECARD = TypeAdapter(Scorecard)
