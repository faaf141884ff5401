"""Who is ahead: rows that were measured alike, in order; everything else apart or unranked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from leaderboard.board import Entry
from leaderboard.row import NUMBERS, Row
from submission.competition import Tier
from submission.scorecard import METRICS, Score, judge


@dataclass(frozen=True)
class Ranked:
    """An entry in its group: its `place` from 1, or None with `unranked` saying why; `tiers_passed` of `tiers`.

    `places` are the first and the last place that it may have as far as the 95 % intervals tell: (1, 2) for each of two
    whose intervals overlap. `reproduced` says that the same bytes, measured alike, are on the other board too.
    """

    row: Row
    shipped: bool
    place: int | None
    tiers_passed: int
    tiers: int
    unranked: str = ""
    reproduced: bool = False
    places: tuple[int, int] | None = None

    @property
    def rank_range(self) -> str:
        """The places as text: `3`, `1–2`, or a dash for what does not rank."""
        if self.places is None:
            return "–"
        first, last = self.places
        return str(first) if first == last else f"{first}–{last}"


@dataclass(frozen=True)
class Group:
    """Entries that one protocol measured: the only ones that may be compared. Best first, unranked ones last."""

    competition: str
    fingerprint: str
    ranked: list[Ranked]
    hidden: int = 0

    @property
    def measured_by(self) -> Mapping[str, str | int]:
        """The protocol: backbones, hashes."""
        return self.ranked[0].row.measured_by

    @property
    def n(self) -> int:
        """How many images each entry was scored on."""
        return self.ranked[0].row.n


def rank(
    entries: Iterable[Entry], tiers: Mapping[str, Sequence[Tier]] | None = None, *, every: bool = False
) -> list[Group]:
    """Rank the entries within each fingerprint.

    More tiers passed come first, then the lower FID, then the earlier entry, then the smaller hash. `tiers` maps a
    competition to its tiers as they are now; where it is not in there, what was passed when it was scored counts.
    Each name's best entry of each board is kept; `every` keeps all. Groups come in the order of their first entry.
    """
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.row.fingerprint, []).append(entry)
    return [_group(members, (tiers or {}).get(members[0].row.competition), every) for members in groups.values()]


def why_unranked(row: Row, needs_fid: bool = True) -> str:
    """The reason why a row does not rank, or nothing. `needs_fid`: False where the competition cannot measure FID."""
    if row.status == "suspect":
        return "suspect: it breaks a rule of the competition, its scorecard says which"
    if row.status != "ok":
        return f"marked {row.status}"
    for column in NUMBERS:
        value = row.numbers[column]
        if value is not None and not math.isfinite(value):
            return f"{column} is {value}"
    return "no FID" if needs_fid and row.numbers["fid"] is None else ""


def passed(row: Row, tiers: Sequence[Tier] | None) -> tuple[int, int]:
    """How many tiers the row passes, of how many."""
    if tiers is None:
        return row.tiers_passed, row.tiers
    verdicts = judge({metric: row.score(metric) for metric in METRICS}, tiers)
    return sum(verdict.passed for verdict in verdicts), len(verdicts)


def _group(entries: Sequence[Entry], tiers: Sequence[Tier] | None, every: bool) -> Group:
    needs_fid = any(entry.row.numbers["fid"] is not None for entry in entries)

    def order(entry: Entry) -> tuple[bool, int, float, float, str]:
        row = entry.row
        fid = row.score("fid").value
        return (
            bool(why_unranked(row, needs_fid)),
            -passed(row, tiers)[0],
            math.inf if fid is None else fid,
            row.created_at.timestamp(),
            row.submission_sha256,
        )

    shipped = {(entry.row.name, entry.row.key) for entry in entries if entry.shipped}
    local = {(entry.row.name, entry.row.key) for entry in entries if not entry.shipped}
    # What reproduces a shipped row is that row's mark, not a line of its own.
    once = [entry for entry in entries if entry.shipped or (entry.row.name, entry.row.key) not in shipped]
    best: dict[tuple[str, bool, int], Entry] = {}
    for number, entry in enumerate(sorted(once, key=order)):
        best.setdefault((entry.row.name, entry.shipped, number if every else 0), entry)
    places = _places([entry.row for entry in best.values() if not why_unranked(entry.row, needs_fid)], tiers)
    ranked = []
    for number, entry in enumerate(best.values(), start=1):
        row = entry.row
        unranked = why_unranked(row, needs_fid)
        reproduced = entry.shipped and (row.name, row.key) in local
        place, range_of_places = (None, None) if unranked else (number, places[number - 1])
        counts = passed(row, tiers)
        ranked.append(Ranked(row, entry.shipped, place, *counts, unranked, reproduced, range_of_places))
    return Group(entries[0].row.competition, entries[0].row.fingerprint, ranked, hidden=len(once) - len(ranked))


def _places(rows: Sequence[Row], tiers: Sequence[Tier] | None) -> list[tuple[int, int]]:
    """For each row the first and the last place that it may have: behind those that are surely better, before those
    that are surely worse. Surely better is who passes at least as many tiers at the worse ends of the intervals as the
    other at the better ends, and more of them or with an FID whose interval lies below the other's.
    """
    worst = [_at_ends(row, tiers, better=False) for row in rows]
    best = [_at_ends(row, tiers, better=True) for row in rows]

    def surely_better(a: int, b: int) -> bool:
        (tiers_a, fid_a), (tiers_b, fid_b) = worst[a], best[b]
        return tiers_a > tiers_b or (tiers_a == tiers_b and fid_a < fid_b)

    everyone = range(len(rows))
    return [
        (
            1 + sum(surely_better(other, row) for other in everyone),
            len(rows) - sum(surely_better(row, other) for other in everyone),
        )
        for row in everyone
    ]


def _at_ends(row: Row, tiers: Sequence[Tier] | None, *, better: bool) -> tuple[int, float]:
    """The tiers that the row passes and its FID, were each metric at the better or worse end of its interval.

    A row without intervals, as earlier versions wrote them, is taken at its values.
    """
    ends = {}
    for metric in METRICS.values():
        score = row.score(metric.name)
        end = score.high if metric.higher_is_better == better else score.low
        ends[metric.name] = Score(score.value if end is None else end, reason=score.reason)
    count = row.tiers_passed if tiers is None else sum(verdict.passed for verdict in judge(ends, tiers))
    fid = ends["fid"].value
    return count, math.inf if fid is None else fid
