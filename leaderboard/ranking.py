"""Who is ahead: rows that were measured alike, in order; everything else apart or unranked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from leaderboard import alike
from leaderboard.columns import MEASURED_BY, NUMBERS
from leaderboard.row import Row, measured_by, rows_of
from submission.judging import Tier
from submission.metrics import METRICS


@dataclass(frozen=True)
class Ranked:
    """An entry in its group: its `place` from 1, or None with `unranked` saying why; `tiers_passed` of `tiers`.

    `places` are the first and the last place that it may have as far as the 95 % intervals tell: (1, 2) for each of two
    whose intervals overlap. `reproduced` says that the same bytes, measured alike, are on the other board too; `alike`
    that an entry under another name has the same images or nearly the same ones.
    """

    row: Row
    shipped: bool
    place: int | None
    tiers_passed: int
    tiers: int
    unranked: str = ""
    reproduced: bool = False
    places: tuple[int, int] | None = None
    alike: bool = False

    @property
    def rank_range(self) -> str:
        """The places as text: `3`, `1–2`, or a dash for what does not rank."""
        if self.places is None:
            return "–"
        first, last = self.places
        return str(first) if first == last else f"{first}–{last}"


@dataclass(frozen=True, eq=False)
class Group:
    """Entries that one protocol measured: the only ones that may be compared. Best first, unranked ones last.

    `entries` are the rows of the board in that order, with the columns `shipped` and those of `Ranked` beside `row`:
    `place` and `first`, `last` for `places`, 0 for what does not rank; `passed`, `of` for `tiers_passed`, `tiers`;
    `unranked`, `reproduced`, `resembles` for `alike`. `hidden` entries are not the best of their names, `more` came
    after those that were asked for.
    """

    entries: pd.DataFrame
    hidden: int = 0
    more: int = 0
    pairs: list[alike.Pair] = field(default_factory=list)

    @cached_property
    def ranked(self) -> list[Ranked]:
        """The entries, one by one."""
        columns = ("shipped", "place", "first", "last", "passed", "of", "unranked", "reproduced", "resembles")
        cells = zip(*(self.entries[column].tolist() for column in columns), strict=True)
        return [
            Ranked(row, shipped, place or None, passed, of, why, again, (first, last) if place else None, resembles)
            for row, (shipped, place, first, last, passed, of, why, again, resembles) in zip(
                rows_of(self.entries), cells, strict=True
            )
        ]

    @cached_property
    def measured_by(self) -> Mapping[str, str | int]:
        """The protocol: backbones, hashes."""
        return measured_by({key: self.entries[key].iloc[0] for key in MEASURED_BY})

    @property
    def competition(self) -> str:
        """Its name."""
        return str(self.entries["competition"].iloc[0])

    @property
    def fingerprint(self) -> str:
        """The protocol's, twelve hex digits."""
        return str(self.entries["fingerprint"].iloc[0])

    @property
    def n(self) -> int:
        """How many images each entry was scored on."""
        return int(self.entries["n"].iloc[0])


def rank(
    entries: pd.DataFrame,
    tiers: Mapping[str, Sequence[Tier]] | None = None,
    *,
    every: bool = False,
    top: int | None = None,
) -> list[Group]:
    """Rank the entries (`board.entries`) within each fingerprint.

    More tiers passed come first, then the lower FID, then the earlier entry, then the smaller hash. `tiers` maps a
    competition to its tiers as they are now; where it is not in there, what was passed when it was scored counts.
    Each name's best entry of each board is kept; `every` keeps all. Groups come in the order of their first entry.
    Of each group the first `top` that rank and the first `top` that do not are returned, by default all.
    """
    groups = entries.groupby("fingerprint", sort=False)
    return [_group(rows, (tiers or {}).get(rows["competition"].iloc[0]), every, top) for _, rows in groups]


def _group(rows: pd.DataFrame, tiers: Sequence[Tier] | None, every: bool, top: int | None) -> Group:
    unranked = _why_unranked(rows)
    passed, of = _passed(rows, tiers, {name: _finite(rows[name]) for name in METRICS})
    fid = _or_infinite(_finite(rows["fid"]))
    hashes = _numbers_of(rows["submission_sha256"])
    time = rows["created_at"].to_numpy().astype(np.int64)
    order = np.lexsort([hashes[:, 1], hashes[:, 0], time, fid, -passed, unranked != ""])

    shipped = rows["shipped"].to_numpy()
    # What reproduces a shipped row is that row's mark, not a line of its own.
    again = rows["submission_sha256"].isin(rows["submission_sha256"][shipped]).to_numpy()
    key = rows["name"][again] + "\n" + rows["submission_sha256"][again]
    reproduced, once = np.zeros(len(rows), bool), np.ones(len(rows), bool)
    reproduced[again] = shipped[again] & key.isin(key[~shipped[again]])
    once[again] = shipped[again] | ~key.isin(key[shipped[again]])
    best = order[once[order]]
    if not every:
        best = best[~rows[["name", "shipped"]].iloc[best].duplicated().to_numpy()]
    ranks, does_not = best[unranked[best] == ""], best[unranked[best] != ""]
    first, last = _places(rows, ranks, tiers)
    chosen = np.concatenate([ranks[:top], does_not[:top]])
    described = rows[["name", "submission_sha256", "alike", "created_at"]][once]
    involved = alike.involved(described)
    none = np.zeros(len(does_not[:top]), np.int64)
    entries = rows.iloc[chosen]
    entries = entries.assign(
        place=np.concatenate([np.arange(len(ranks[:top])) + 1, none]),
        first=np.concatenate([first[:top], none]),
        last=np.concatenate([last[:top], none]),
        passed=passed[chosen],
        of=of[chosen],
        unranked=unranked[chosen],
        reproduced=reproduced[chosen],
        resembles=entries["submission_sha256"].isin(involved),
    )
    return Group(entries, int(once.sum()) - len(best), len(best) - len(chosen), alike.pairs(described, involved))


def _why_unranked(rows: pd.DataFrame) -> np.ndarray:
    """For each row the reason why it does not rank, or nothing; FID is not needed where nobody has one."""
    why = np.full(len(rows), "", object)
    if rows["fid"].notna().any():
        why[rows["fid"].isna().to_numpy()] = "no FID"
    for column in reversed(NUMBERS):
        values = rows[column].to_numpy()
        for place in np.flatnonzero(np.isinf(values)):
            why[place] = f"{column} is {values[place]}"
    for place in np.flatnonzero((rows["nan"] != "").to_numpy()):
        why[place] = f"{rows['nan'].iloc[place].split(',')[0]} is nan"
    status, broken = rows["status"].to_numpy(), rows["broken"].to_numpy()
    for place in np.flatnonzero(status != "ok"):
        why[place] = f"marked {status[place]}"
        if status[place] == "suspect":
            rule = broken[place] or "a rule of the competition, its scorecard says which"
            why[place] = f"suspect: it breaks {rule}"
    return why


def _passed(
    rows: pd.DataFrame, tiers: Sequence[Tier] | None, values: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """How many tiers each row passes with these `values` (NaN passes nothing), of how many."""
    if tiers is None:
        return rows["tiers_passed"].to_numpy(), rows["tiers"].to_numpy()
    passed = np.zeros(len(rows), np.int64)
    for tier in tiers:
        all_of_it = np.ones(len(rows), bool)
        for name, threshold in tier.thresholds.items():
            reached = values[name] >= threshold if METRICS[name].higher_is_better else values[name] <= threshold
            all_of_it &= reached
        passed += all_of_it
    return passed, np.full(len(rows), len(tiers))


def _places(rows: pd.DataFrame, ranks: np.ndarray, tiers: Sequence[Tier] | None) -> tuple[np.ndarray, np.ndarray]:
    """For each of the rows at `ranks` the first and the last place that it may have: behind those that are surely
    better, before those that are surely worse. Surely better is who passes at least as many tiers at the worse ends of
    the intervals as the other at the better ends, and more of them or with an FID whose interval lies below the
    other's.
    """
    n = len(ranks)
    ends = [_at_ends(rows, tiers, better=better) for better in (False, True)]
    tiers_passed, fid = zip(*((passed[ranks], fid[ranks]) for passed, fid in ends), strict=True)
    # The place of each row's worse and better end among all ends, equal ones sharing theirs: better ends come first.
    order = np.lexsort([np.concatenate(fid), -np.concatenate(tiers_passed)])
    keys = np.stack([-np.concatenate(tiers_passed)[order], np.concatenate(fid)[order]])
    steps = np.concatenate([[0], np.cumsum((keys[:, 1:] != keys[:, :-1]).any(axis=0))]) if n else np.zeros(0)
    place = np.empty(2 * n, np.int64)
    place[order] = steps
    worse, better = place[:n], place[n:]
    first = 1 + np.searchsorted(np.sort(worse), better, "left")
    last = np.searchsorted(np.sort(better), worse, "right")
    return first, last


def _at_ends(rows: pd.DataFrame, tiers: Sequence[Tier] | None, *, better: bool) -> tuple[np.ndarray, np.ndarray]:
    """The tiers that each row passes and its FID, were each metric at the better or worse end of its interval.

    A row without intervals, as earlier versions wrote them, is taken at its values.
    """
    ends = {}
    for metric in METRICS.values():
        value = _finite(rows[metric.name])
        end = _finite(rows[f"{metric.name}_{'high' if metric.higher_is_better == better else 'low'}"])
        ends[metric.name] = np.where(np.isnan(end) & ~np.isnan(value), value, end)
    return _passed(rows, tiers, ends)[0], _or_infinite(ends["fid"])


def _finite(values: pd.Series) -> np.ndarray:
    array = values.to_numpy()
    return np.where(np.isfinite(array), array, np.nan)


def _or_infinite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), math.inf, values)


def _numbers_of(hashes: pd.Series) -> np.ndarray:
    """The first 16 hexadecimal digits of each hash as two numbers, (N, 2), for sorting."""
    digits = np.frombuffer("".join([text[:16] for text in hashes]).encode(), np.uint8).reshape(-1, 16)
    return digits.copy().view(">u8").astype(np.uint64)
