"""What was measured: scores with their intervals, the verdict per tier, and the fingerprint of what measured them.

And the findings against a submission: images that are copied, repeated or empty. Those findings are facts, whatever the
rules of the competition; which rules they break is decided by `submission.rules`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, StringConstraints, TypeAdapter, ValidationError

from submission import strict_json
from submission.metrics import EXTRA_METRICS, METRICS

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

_Time = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
_Look = Annotated[str, StringConstraints(pattern=r"^[a-z][A-Za-z0-9+/]{0,1000}$")]

# What is looked for, in words that follow a number of images.
FINDINGS = {
    "reference_copies": "copies of references",
    "training_copies": "copies of training images",
    "repeats": "repeats of another prompt's image",
    "flat": "images without structure",
}


class _Strict:
    """Read from JSON strictly."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Finding(_Strict):
    """So many images are suspect in one way.

    `evidence` says by what, such as {"same pixels": 10, "same look": 2}, each image counted by its strongest evidence;
    `examples` are a few of them, such as "0_main.png = 7_main.png".
    """

    count: int
    evidence: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RuleCheck(_Strict):
    """One rule of the competition: `passed` is None when it could not be checked; `reason` says why it did not pass."""

    rule: str
    value: float | None
    passed: bool | None
    reason: str = ""


@dataclass(frozen=True)
class Suspicions(_Strict):
    """All that was looked for and found, by the names of FINDINGS, and the verdict on each rule."""

    findings: dict[str, Finding]
    rules: list[RuleCheck] = field(default_factory=list)

    @property
    def broken(self) -> list[RuleCheck]:
        return [check for check in self.rules if check.passed is False]

    def sentences(self) -> Iterator[str]:
        """Each finding in words, such as "12 copies of references (same pixels 10, same look 2)"."""
        for name, words in FINDINGS.items():
            if (finding := self.findings.get(name)) is not None:
                evidence = ", ".join(f"{kind} {count}" for kind, count in finding.evidence.items() if count)
                yield f"{finding.count} {words}" + (f" ({evidence})" if evidence else "")


@dataclass(frozen=True)
class Score(_Strict):
    """A finite value with its 95 % interval, or None; `reason` says why the value, or else the interval, is missing."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise ValueError(f"{name} of a score is {number}; a score is finite, or None with a reason")

    def too_close(self, threshold: float) -> bool:
        """Whether the interval holds `threshold`: then these images cannot tell on which side of it the score is."""
        return self.low is not None and self.high is not None and self.low < threshold < self.high


@dataclass(frozen=True)
class TierCheck(_Strict):
    """One threshold of a tier. `difference` is value - threshold, None when the value is missing."""

    metric: str
    threshold: float
    value: float | None
    difference: float | None
    passed: bool


@dataclass(frozen=True)
class TierResult(_Strict):
    """The verdict on one tier: passed when every threshold is reached; a missing value does not reach any."""

    name: str
    passed: bool
    checks: list[TierCheck]


@dataclass(frozen=True)
class Mark(_Strict):
    """What a submission is worth in percent: `value`, the sum of what each metric `earned`."""

    value: float
    earned: dict[str, float]


@dataclass(frozen=True)
class Scorecard(_Strict):
    """The result of scoring one submission.

    `submission` is the sha256 of its content, `n` the number of images scored, `fingerprint` the protocol (scorecards
    with equal fingerprints rank together), `accuracy` the share in [0, 1] of images that show each attribute asked
    for, `context` numbers to read the scores against (such as the references' own CLIP-T), `ranks` False when only a
    part was scored, `manifest` the submission's model, seed and settings, `extra` the scores of EXTRA_METRICS, None
    where they were not asked for, `mark` in percent, None where the competition gives none, `suspicions` the findings
    against the images, None in a scorecard of a version that did not look, `look` a digest of the images that near
    copies share (`submission.similarity_digest`), `created_at` when it was measured, in UTC: the same images measured
    alike are the same scorecard whenever that was, `families` how many families of prompts there were, which the
    intervals draw anew, None in a scorecard of a version whose intervals drew single images.
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
    schema_version: Literal[1] = 1
    created_at: _Time | None = field(default=None, compare=False)
    families: int | None = None

    @property
    def suspect(self) -> bool:
        """Whether a rule of the competition is broken."""
        return self.suspicions is not None and bool(self.suspicions.broken)

    def to_dict(self) -> dict[str, Any]:
        """The scorecard as JSON values; without `reason`, `accuracy` and the like where there is none."""
        optional = ("accuracy", "extra", "mark", "suspicions", "look", "created_at", "families")
        absent = {name for name in optional if getattr(self, name) is None}
        result: dict[str, Any] = _SCORECARD.dump_python(self, mode="json", exclude=absent)
        for score in (*result["scores"].values(), *result.get("extra", {}).values()):
            if score["reason"] is None:
                del score["reason"]
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
