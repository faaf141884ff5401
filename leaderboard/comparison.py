"""An entry against the newest earlier one of its name: what got better, what worse, and whether that can be told."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboard.row import Row
from submission.judging import Tier, judge
from submission.metrics import METRICS, Metric
from submission.scorecard import Score


def with_last(row: Row, last: Row, tiers: Sequence[Tier]) -> str:
    """Such as "Better than your last of 2026-11-25 12:00 UTC: FID better by 2.10 (81.20 -> 79.10); CLIP-T …"."""
    parts = (_difference(metric, row.score(metric.name), last.score(metric.name)) for metric in METRICS.values())
    said = "; ".join(filter(None, parts)) or "no score in common"
    verdict = "Better than your last" if _ahead(row, last, tiers) else "Not better than your last"
    return f"{verdict} of {last.created_at:%Y-%m-%d %H:%M} UTC: {said}"


def _ahead(row: Row, last: Row, tiers: Sequence[Tier]) -> bool:
    """Whether the row would rank before the other: by the tiers as they are now, then by FID."""
    if row.status != "ok" or last.status != "ok":
        return row.status == "ok"
    passed, passed_before = (sum(tier.passed for tier in judge(entry.scores, tiers)) for entry in (row, last))
    fids = row.score("fid").value, last.score("fid").value
    closer = fids[0] is not None and (fids[1] is None or fids[0] < fids[1])
    return (passed, closer) > (passed_before, False)


def _difference(metric: Metric, new: Score, old: Score) -> str:
    if new.value is None or old.value is None:
        return ""
    before, now = metric.text(old.value), metric.text(new.value)
    if before == now:
        return f"{metric.label} the same ({now})"
    better = (new.value > old.value) == metric.higher_is_better
    # The two intervals say nothing surer: the prompts are the same, so the difference's own is narrower than both.
    close = " within the 95 % interval" if old.too_close(new.value) or new.too_close(old.value) else ""
    by = f"{'better' if better else 'worse'} by {metric.text(abs(new.value - old.value))}"
    return f"{metric.label} {by}{close} ({before} -> {now})"
