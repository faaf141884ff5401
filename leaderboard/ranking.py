"""Who is ahead: rows that were measured alike, in order; everything else apart or unranked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

    `first_place` and `last_place` are those that it may have as far as the 95 % intervals tell: 1 and 2 for each of two
    whose intervals overlap. `reproduced` says that the same bytes, measured alike, are on the other board too;
    `resembles` that an entry under another name has the same images or nearly the same ones.
    """

    row: Row
    shipped: bool
    place: int | None
    first_place: int | None
    last_place: int | None
    tiers_passed: int
    tiers: int
    unranked: str
    reproduced: bool
    resembles: bool

    @property
    def rank_range(self) -> str:
        """The places as text: `3`, `1–2`, or a dash for what does not rank."""
        if self.place is None:
            return "–"
        same = self.first_place == self.last_place
        return str(self.first_place) if same else f"{self.first_place}–{self.last_place}"


@dataclass(frozen=True, eq=False)
class Group:
    """Entries that one protocol measured: the only ones that may be compared. Best first, unranked ones last.

    Each was scored on `n` images; `measured_by` are the backbones and hashes of the protocol, `fingerprint` its twelve
    hex digits. `entries` are the rows of the board in that order, with the column `shipped`. `standings` has a row for
    each of them, and as columns the other fields of `Ranked`. `hidden` entries are not the best of their names, `more`
    came after those that were asked for.
    """

    competition: str
    fingerprint: str
    n: int
    measured_by: Mapping[str, str | int]
    entries: pd.DataFrame
    standings: pd.DataFrame
    hidden: int
    more: int
    pairs: list[alike.Pair]

    @cached_property
    def ranked(self) -> list[Ranked]:
        names = [str(name) for name in self.standings.columns]
        standings = [
            dict(zip(names, cells, strict=True)) for cells in self.standings.itertuples(index=False, name=None)
        ]
        entries = zip(rows_of(self.entries), self.entries["shipped"].tolist(), standings, strict=True)
        return [Ranked(row, shipped, **standing) for row, shipped, standing in entries]


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
    """The rows of one fingerprint, ranked. All arrays here have an item for each row; `listed`, `ranking` and the like
    hold positions in them, best first."""
    unranked = _why_unranked(rows)
    tiers_passed, tiers_in_all = _tiers_passed(rows, tiers, {name: _finite(rows[name]) for name in METRICS})
    reproduced, reproduces = _reproductions(rows)

    order = _order(rows, unranked != "", tiers_passed)
    listed = order[~reproduces[order]]  # what reproduces a shipped row is that row's mark, not a line of its own
    # Of each name the first; a shipped name and a local one are two.
    wanted = listed if every else listed[~rows[["name", "shipped"]].iloc[listed].duplicated().to_numpy()]
    ranking, others = wanted[unranked[wanted] == ""], wanted[unranked[wanted] != ""]
    first_place, last_place = _first_and_last_places(rows, ranking, tiers)

    chosen = np.concatenate([ranking[:top], others[:top]])
    entries = rows.iloc[chosen]
    no_place = np.full(len(others[:top]), None)
    compared = rows[["name", "submission_sha256", "alike", "created_at"]][~reproduces]
    pairs, resembling = alike.pairs(compared)
    standings = pd.DataFrame(
        {
            "place": np.concatenate([np.arange(len(ranking[:top])) + 1, no_place]),
            "first_place": np.concatenate([first_place[:top], no_place]),
            "last_place": np.concatenate([last_place[:top], no_place]),
            "tiers_passed": tiers_passed[chosen],
            "tiers": tiers_in_all[chosen],
            "unranked": unranked[chosen],
            "reproduced": reproduced[chosen],
            "resembles": entries["submission_sha256"].isin(resembling),
        },
        entries.index,
    )
    first = rows.iloc[0]
    return Group(
        competition=first["competition"], fingerprint=first["fingerprint"], n=int(first["n"]),
        measured_by=measured_by({key: first[key] for key in MEASURED_BY}),
        entries=entries, standings=standings, pairs=pairs,
        hidden=len(listed) - len(wanted), more=len(wanted) - len(chosen),
    )  # fmt: skip


def _order(rows: pd.DataFrame, does_not_rank: np.ndarray, tiers_passed: np.ndarray) -> np.ndarray:
    """The rule of the ranking: the positions of the rows, best first."""
    rule = (
        does_not_rank,  # those come last
        -tiers_passed,  # more tiers first
        np.nan_to_num(_finite(rows["fid"]), nan=math.inf),  # then the lower FID
        rows["created_at"].to_numpy().astype(np.int64),  # then the earlier entry
        rows["submission_sha256"].to_numpy("S16"),  # then the smaller hash
    )
    order: np.ndarray = np.lexsort(rule[::-1])  # whose last key decides first
    return order


def _reproductions(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Which shipped rows are reproduced, and which local rows reproduce one: the same name and bytes on both boards."""
    shipped = rows["shipped"].to_numpy()
    on_both = np.zeros(len(rows), bool)
    # Names are joined with hashes, which is slow, only where the bytes are those of a shipped row.
    candidates = rows["submission_sha256"].isin(rows["submission_sha256"][shipped]).to_numpy()
    key = rows["name"][candidates] + "\n" + rows["submission_sha256"][candidates]
    on_both[candidates] = key.isin(key[shipped[candidates]]) & key.isin(key[~shipped[candidates]])
    return shipped & on_both, ~shipped & on_both


def _why_unranked(rows: pd.DataFrame) -> np.ndarray:
    """For each row the reason why it does not rank, or nothing; FID is not needed where nobody has one."""
    why = np.full(len(rows), "", object)
    if rows["fid"].notna().any():
        why[rows["fid"].isna().to_numpy()] = "no FID"
    for column in reversed(NUMBERS):
        values = rows[column].to_numpy()
        for index in np.flatnonzero(np.isinf(values)):
            why[index] = f"{column} is {values[index]}"
    for index in np.flatnonzero((rows["nan"] != "").to_numpy()):
        why[index] = f"{rows['nan'].iloc[index].split(',')[0]} is nan"
    status, broken = rows["status"].to_numpy(), rows["broken"].to_numpy()
    for index in np.flatnonzero(status != "ok"):
        rule = broken[index] or "a rule of the competition, its scorecard says which"
        why[index] = f"suspect: it breaks {rule}" if status[index] == "suspect" else f"marked {status[index]}"
    return why


def _tiers_passed(
    rows: pd.DataFrame, tiers: Sequence[Tier] | None, values: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """How many tiers each row passes with these `values` (NaN passes nothing), of how many."""
    if tiers is None:
        return rows["tiers_passed"].to_numpy(), rows["tiers"].to_numpy()
    passed = np.zeros(len(rows), np.int64)
    for tier in tiers:
        reached = [METRICS[name].passes(values[name], threshold) for name, threshold in tier.thresholds.items()]
        passed += np.logical_and.reduce(reached)
    return passed, np.full(len(rows), len(tiers))


def _first_and_last_places(
    rows: pd.DataFrame, ranking: np.ndarray, tiers: Sequence[Tier] | None
) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last place that each of the rows at `ranking` may have.

    A row is surely better than another if it is ahead (more tiers, or as many and a lower FID) even when it is taken at
    the worse ends of its intervals and the other at the better ends of its own.
    """
    worse, better = (_at_ends(rows, tiers, better=better)[ranking] for better in (False, True))
    surely_better = np.searchsorted(np.sort(worse), better, "left")
    not_surely_worse = np.searchsorted(np.sort(better), worse, "right")  # itself too
    return 1 + surely_better, not_surely_worse


def _at_ends(rows: pd.DataFrame, tiers: Sequence[Tier] | None, *, better: bool) -> np.ndarray:
    """What each row would be ranked by, were each metric at the better or worse end of its interval: complex numbers,
    which NumPy sorts by their real parts (tiers passed, negative), then by their imaginary parts (FID).

    A row without intervals, as earlier versions wrote them, is taken at its values.
    """
    ends = {}
    for metric in METRICS.values():
        value = _finite(rows[metric.name])
        end = _finite(rows[f"{metric.name}_{'high' if metric.higher_is_better == better else 'low'}"])
        ends[metric.name] = np.where(np.isnan(end), value, end)
    keys = np.empty(len(rows), complex)
    keys.real, keys.imag = -_tiers_passed(rows, tiers, ends)[0], np.nan_to_num(ends["fid"], nan=math.inf)
    return keys


def _finite(values: pd.Series) -> np.ndarray:
    """NaN for what is infinite."""
    array = values.to_numpy()
    return np.where(np.isfinite(array), array, np.nan)
