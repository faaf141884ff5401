"""Does an entry beat the competition's gate? A verdict for each threshold, and one for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from leaderboard.entry import Entry
from submission.competition import Competition
from submission.errors import UsageError, shown
from submission.judging import Tier
from submission.metrics import METRICS, Metric
from submission.scorecard import RuleCheck, Score

SCHEMA_VERSION = 2


class Verdict(StrEnum):
    """The answer of the gate, for one threshold or for all of them."""

    BEATS = "beats the gate"
    FAILS = "does not beat the gate"
    UNKNOWN = "cannot tell"


SIGNS = {Verdict.BEATS: ("✓", "green"), Verdict.FAILS: ("✗", "red"), Verdict.UNKNOWN: ("?", "yellow")}


@dataclass(frozen=True)
class Check:
    """One threshold: what was measured, how far it is from the threshold (value - threshold), the verdict and why."""

    metric: Metric
    threshold: float
    score: Score
    verdict: Verdict
    reason: str

    @property
    def difference(self) -> float | None:
        """`value - threshold`, None when there is no value."""
        return None if self.score.value is None else self.score.value - self.threshold

    @property
    def requirement(self) -> str:
        """The threshold in words, such as `FID ≤ 90.00`."""
        return f"{self.metric.label} {self.metric.limit(self.threshold)}"

    @property
    def cells(self) -> tuple[str, str, str]:
        """The value, its difference to the threshold and its 95 % interval, as they are printed."""
        difference = "" if self.difference is None else f"{self.difference:+.{self.metric.digits}f}"
        return self.metric.text(self.score.value), difference, self.metric.interval(self.score.low, self.score.high)


@dataclass(frozen=True)
class GateResult:
    """The gate's answer on one entry. `reason` is one sentence that a person can act on."""

    competition: str
    tier: str
    entry: Entry
    checks: list[Check]
    verdict: Verdict
    reason: str

    @property
    def basis(self) -> str:
        """Where the numbers are from, in words."""
        if (pin := self.entry.trusted) is None:
            return "measured by the scorer of this machine"
        return f"NOT measured here: {pin.file} (sha256 {pin.sha256[:12]}…) was trusted, as --trust says"

    @property
    def answer(self) -> str:
        """`beats the gate`, `does not beat the gate`, or `cannot tell at N = 1063`."""
        return f"{self.verdict} at N = {self.entry.n}" if self.verdict is Verdict.UNKNOWN else str(self.verdict)

    @property
    def headline(self) -> str:
        """The answer as a sentence without its end: who, where, and which tier."""
        where = f"({self.competition}, {self.tier})"
        if self.entry.trusted is not None:
            where += f", if {self.entry.trusted.file} is to be trusted"
        if self.verdict is Verdict.UNKNOWN:
            return f"{self.answer} whether {shown(self.entry.name)} beats the gate {where}"
        return f"{shown(self.entry.name)} {self.answer} {where}"

    @property
    def exit_code(self) -> int:
        """0 when the entry beats the gate, 1 otherwise."""
        return 0 if self.verdict is Verdict.BEATS else 1


def tier_of(competition: Competition, name: str | None = None) -> Tier:
    """The tier to beat: the one called `name`, or else the competition's gate. Raises UsageError when there is none."""
    wanted = name or competition.gate
    known = ", ".join(tier.name for tier in competition.tiers) or "none"
    if wanted is None:
        raise UsageError(f"{competition.name} names no gate; choose one with --tier (it has: {known})")
    for tier in competition.tiers:
        if tier.name == wanted:
            return tier
    raise UsageError(f"{competition.name} has no tier {wanted!r} (it has: {known})")


def evaluate(competition: Competition, tier: Tier, entry: Entry) -> GateResult:
    """Hold an entry against every threshold of `tier`.

    Who breaks one of the competition's rules does not beat the gate, whatever the scores; nor does an entry that does
    not rank, however many images were scored.
    """
    checks = checks_of(tier, entry.scores)
    verdict, reason = _with_rules(*summary(checks), entry.rules)
    full = len(competition.prompts)
    if entry.n != full or not entry.ranks:
        verdict = Verdict.UNKNOWN
        limited = "" if entry.ranks else " with --limit"
        reason = f"scored on {entry.n} of {full} images{limited}, which is for trying out: score the whole submission"
    return GateResult(competition.name, tier.name, entry, checks, verdict, reason)


def checks_of(tier: Tier, scores: Mapping[str, Score]) -> list[Check]:
    """Each threshold of `tier` with what `scores` say to it."""
    none = Score(None)
    return [_check(METRICS[metric], limit, scores.get(metric, none)) for metric, limit in tier.thresholds.items()]


def _check(metric: Metric, threshold: float, score: Score) -> Check:
    if score.value is None:
        return Check(metric, threshold, score, Verdict.UNKNOWN, score.reason or "was not measured")
    if score.too_close(threshold):
        interval = metric.interval(score.low, score.high)
        return Check(metric, threshold, score, Verdict.UNKNOWN, f"the 95 % interval {interval} holds the threshold")
    verdict = Verdict.BEATS if metric.passes(score.value, threshold) else Verdict.FAILS
    return Check(metric, threshold, score, verdict, "")


def summary(checks: Sequence[Check]) -> tuple[Verdict, str]:
    """The verdict on all thresholds together, and why: one that is missed decides, then one that cannot be told."""
    failed = [check for check in checks if check.verdict is Verdict.FAILS]
    unknown = [check for check in checks if check.verdict is Verdict.UNKNOWN]
    if failed:
        return Verdict.FAILS, ", ".join(f"{check.requirement} missed by {_amount(check)}" for check in failed)
    if unknown:
        return Verdict.UNKNOWN, "; ".join(f"{check.requirement}: {check.reason}" for check in unknown)
    return Verdict.BEATS, "every threshold is reached"


def _with_rules(verdict: Verdict, reason: str, rules: Sequence[RuleCheck]) -> tuple[Verdict, str]:
    broken = [f"breaks the rule {check.rule}: {check.reason}" for check in rules if check.passed is False]
    unchecked = [f"{check.rule} {check.reason}" for check in rules if check.passed is None]
    if broken:
        return Verdict.FAILS, "; ".join([*broken, reason] if verdict is Verdict.FAILS else broken)
    if unchecked and verdict is Verdict.BEATS:
        return Verdict.UNKNOWN, "; ".join(unchecked)
    return verdict, reason


def _amount(missed: Check) -> str:
    value, digits = abs(missed.difference or 0), missed.metric.digits
    # A miss is never called a miss by nothing.
    return f"{value:.{digits}f}" if round(value, digits) else f"{value:.1g}"
