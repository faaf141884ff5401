"""What speaks against a submission: images that are copied, repeated or empty, and the rules that it breaks.

The findings are facts, whatever the rules; which rules they break is decided by `submission.rules`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import ConfigDict

_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

# What is looked for, in words that follow a number of images.
FINDINGS = {
    "reference_copies": "copies of references",
    "training_copies": "copies of training images",
    "repeats": "repeats of another prompt's image",
    "flat": "images without structure",
}


@dataclass(frozen=True)
class Finding:
    """So many images are suspect in one way.

    `evidence` says by what, such as {"same pixels": 10, "same look": 2}, each image counted by its strongest evidence;
    `examples` are a few of them, such as "0_main.png = 7_main.png".
    """

    count: int
    evidence: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class RuleCheck:
    """One rule of the competition: `passed` is None when it could not be checked; `reason` says why it did not pass."""

    rule: str
    value: float | None
    passed: bool | None
    reason: str = ""
    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class Suspicions:
    """All that was looked for and found, by the names of FINDINGS, and the verdict on each rule."""

    findings: dict[str, Finding]
    rules: list[RuleCheck] = field(default_factory=list)
    __pydantic_config__ = _STRICT

    @property
    def broken(self) -> list[RuleCheck]:
        """The rules that are broken."""
        return [check for check in self.rules if check.passed is False]

    def sentences(self) -> Iterator[str]:
        """Each finding in words, such as "12 copies of references (same pixels 10, same look 2)"."""
        for name, words in FINDINGS.items():
            if (finding := self.findings.get(name)) is not None:
                evidence = ", ".join(f"{kind} {count}" for kind, count in finding.evidence.items() if count)
                yield f"{finding.count} {words}" + (f" ({evidence})" if evidence else "")
