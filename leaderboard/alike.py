"""Entries with the same images, or nearly the same ones, under other names: named on both, judged by the host."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from leaderboard.row import Row
from submission.similarity_digest import NEAR, similarities


@dataclass(frozen=True)
class Alike:
    """An entry under another name with the same images (`similarity` None) or similar ones (from NEAR to 1)."""

    name: str
    submission_sha256: str
    similarity: float | None = None

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

    One for each name, the most alike ones first.
    """
    others = others[(others["name"] != row.name) & (others["n"] == row.n)]
    others = others[others["prompts_sha256"] == str(row.measured_by.get("prompts_sha256", ""))]
    same = (others["submission_sha256"] == row.submission_sha256).to_numpy()
    similarity = similarities(row.look, others["look"].tolist()) if row.look else np.zeros(len(others))
    similarity[same] = 2  # ahead of every other
    near = np.flatnonzero(similarity >= NEAR)
    near = near[np.argsort(-similarity[near], kind="stable")]
    names, hashes = others["name"].to_numpy()[near], others["submission_sha256"].to_numpy()[near]
    found: dict[str, Alike] = {}
    for name, sha256, value in zip(names, hashes, similarity[near].tolist(), strict=True):
        found.setdefault(name, Alike(name, sha256, None if value > 1 else value))
    return list(found.values())


def noted(row: Row, resembled: Sequence[Alike]) -> Row:
    """`row` with the most similar of those whose images are not the same, which the hashes alone do not tell."""
    near = [entry for entry in resembled if entry.similarity is not None]
    return replace(row, alike=near[0].submission_sha256) if near else row


def pairs(rows: pd.DataFrame, involved: Set[str]) -> list[Pair]:
    """Each two names in `rows`, in the order of their times, whose images are the same or were noted as alike.

    Of many names with the same images each is named with the first one. `involved` is what the function of that name
    found.
    """
    if not involved:
        return []
    rows = rows[rows["submission_sha256"].isin(involved)].sort_values("created_at", kind="stable")
    hashes = rows["submission_sha256"]
    first = rows[~hashes.duplicated()].set_index("submission_sha256")["name"]
    found: dict[tuple[str, str], Pair] = {}
    for same, later, of in (
        (True, rows[hashes.duplicated()], "submission_sha256"),
        (False, rows[rows["alike"].isin(hashes)], "alike"),
    ):
        for name, sha256 in zip(later["name"], later[of], strict=True):
            if (earlier := first[sha256]) != name:
                found.setdefault((earlier, name), Pair(earlier, name, same))
    return list(found.values())


def involved(rows: pd.DataFrame) -> set[str]:
    """The `submission_sha256` of all rows whose images are those of a row of another name, or were noted as alike."""
    again = rows[["name", "submission_sha256"]][rows["submission_sha256"].duplicated(keep=False)]
    names = again.groupby("submission_sha256")["name"].nunique()
    noted = rows[["submission_sha256", "alike"]][rows["alike"] != ""]
    noted = noted[noted["alike"].isin(rows["submission_sha256"])]
    return {*names.index[names > 1], *noted["alike"], *noted["submission_sha256"]}
