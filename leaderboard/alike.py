"""Entries with the same images, or nearly the same ones, under other names: named on both, judged by the host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

import numpy as np
import pandas as pd

from leaderboard.row import Row
from submission.similarity_digest import NEAR, similarities

MOST_NOTED = 20  # near entries that a row names: the earliest, so that no later decoys hide whose images they are


@dataclass(frozen=True)
class Alike:
    """An entry under another name with the same images (`similarity` None) or similar ones (from NEAR to 1).

    `shown` says that the board names both: the same protocol measured them, and the row has room for it.
    """

    name: str
    submission_sha256: str
    similarity: float | None = None
    shown: bool = True

    @property
    def words(self) -> str:
        """Such as `the same images as alice`."""
        if self.similarity is None:
            return f"the same images as {self.name}"
        return f"nearly the same images as {self.name} (similarity {self.similarity:.2f})"


@dataclass(frozen=True)
class Pair:
    """Two names of a board whose images are alike: `later` came second."""

    earlier: str
    later: str
    same: bool


def find(row: Row, others: pd.DataFrame) -> list[Alike]:
    """The entries among `others` of other names and of the same prompts whose images are those of `row`, or alike.

    One for each name. Those that were measured alike come first, of these the ones with the same images, then the
    earlier ones.
    """
    others = others[(others["name"] != row.name) & (others["n"] == row.n)]
    others = others[others["prompts_sha256"] == str(row.measured_by.get("prompts_sha256", ""))]
    other_bytes = others["submission_sha256"] != row.submission_sha256
    similarity = similarities(row.look, others["look"].tolist()) if row.look else np.zeros(len(others))
    apart = others["fingerprint"] != row.fingerprint
    others = others.assign(apart=apart, other_bytes=other_bytes, similarity=similarity)
    others = others[~other_bytes | (similarity >= NEAR)].sort_values(["apart", "other_bytes", "created_at"])
    others = others.drop_duplicates("name")
    few = others["other_bytes"].cumsum() <= MOST_NOTED
    others["shown"] = ~others["apart"] & (~others["other_bytes"] | few)
    columns = others[["name", "submission_sha256", "similarity", "other_bytes", "shown"]]
    return [
        Alike(name, sha256, value if differs else None, is_shown)
        for name, sha256, value, differs, is_shown in columns.itertuples(index=False, name=None)
    ]


def noted(row: Row, resembled: Sequence[Alike]) -> Row:
    """`row` with those to be shown whose images are not the same, which the hashes alone do not tell."""
    near = [entry.submission_sha256 for entry in resembled if entry.shown and entry.similarity is not None]
    return replace(row, alike=" ".join(near))


def pairs(rows: pd.DataFrame) -> tuple[list[Pair], set[str]]:
    """Each two names in `rows` whose images are the same or were noted as alike, and the `submission_sha256` of all
    such rows. In the order of their times, but each later name's first pair before every second one.

    Of many names with the same images each is named with the first one.
    """
    noted = {sha256 for cell in rows["alike"][rows["alike"] != ""] for sha256 in cell.split()}
    images = rows["submission_sha256"]
    rows = rows[images.duplicated(keep=False) | images.isin(noted) | (rows["alike"] != "")]
    rows = rows.sort_values("created_at", kind="stable")
    names, hashes, alike = (rows[column].tolist() for column in ("name", "submission_sha256", "alike"))
    first: dict[str, int] = {}
    for place, sha256 in enumerate(hashes):
        first.setdefault(sha256, place)
    # Whoever came later, then whoever came earlier; the same images before similar ones.
    found = [(place, False, first[sha256]) for place, sha256 in enumerate(hashes)]
    for place, cell in enumerate(alike):
        others = [first[sha256] for sha256 in cell.split() if sha256 in first]
        found += [(max(place, other), True, min(place, other)) for other in others]
    found = sorted((later, near, earlier) for later, near, earlier in found if names[later] != names[earlier])
    named: dict[frozenset[str], tuple[int, Pair]] = {}
    count: Counter[str] = Counter()
    for later, near, earlier in found:
        pair = Pair(names[earlier], names[later], not near)
        if named.setdefault(frozenset((pair.earlier, pair.later)), (count[pair.later], pair))[1] is pair:
            count[pair.later] += 1
    ordered = sorted(named.values(), key=itemgetter(0))
    return [pair for _, pair in ordered], {hashes[place] for later, _, earlier in found for place in (later, earlier)}
