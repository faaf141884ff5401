"""The board as a table of models for a paper or a slide, as Markdown or CSV: `python -m leaderboard table`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from leaderboard.gate_files import markdown_text
from leaderboard.ranking import Group
from leaderboard.row import finite
from submission.csv_text import FORMULA, csv_line
from submission.metrics import METRICS

# The columns of comparisons on COCO come first; CLIP-T is a cosine there times 100, CLIP-I is not among them.
COLUMNS = (*(first := ("is", "fid", "clip_t")), *(name for name in METRICS if name not in (*first, "clip_i")))
MEASURED_BY = ("n", "protocol", "inception", "clip", "fingerprint")


def markdown(groups: Sequence[Group]) -> str:
    """A table for each group, best first, with what measured it: numbers of two tables are not comparable."""
    return "\n".join(_markdown_of(group) for group in groups)


def _markdown_of(group: Group) -> str:
    entries = _listed(group)
    heads = [f"{'CLIP ×100' if name == 'clip_t' else METRICS[name].label} {METRICS[name].arrow}" for name in COLUMNS]
    lines = [f"| model | {' | '.join(heads)} |", "|---|" + "---:|" * len(COLUMNS)]
    columns = [map(markdown_text, entries["model"].tolist()), *(_column(entries, name) for name in COLUMNS)]
    lines += [f"| {' | '.join(cells)} |" for cells in zip(*columns, strict=True)]
    by = group.measured_by
    measured = f"{group.n} images, Inception {by.get('inception', '?')}, CLIP {by.get('clip', '?')}"
    measured = markdown_text(f"{group.competition}: {measured}, protocol {by.get('protocol', '?')}")
    lines += ["", f"{measured} (`{group.fingerprint}`). CLIP is the mean cosine of image and prompt.", ""]
    return "\n".join(lines)


def _column(entries: pd.DataFrame, name: str) -> Iterable[str]:
    factor, digits = (100, 2) if name == "clip_t" else (1, METRICS[name].digits)
    return ["–" if value is None else f"{factor * value:.{digits}f}" for value in _values(entries, name)]


def as_csv(groups: Sequence[Group]) -> str:
    """One line for each model: the numbers with all their digits (CLIP-T is the cosine itself) and what measured it."""
    lines = [csv_line(("model", *COLUMNS, "competition", *MEASURED_BY))]
    for group in groups:
        entries = _listed(group)
        by = {"n": group.n, "fingerprint": group.fingerprint, **group.measured_by}
        measured = [_guarded(text) for text in (group.competition, *(str(by.get(key, "")) for key in MEASURED_BY))]
        columns = [map(_guarded, entries["model"].tolist()), *(_values(entries, name) for name in COLUMNS)]
        lines += [csv_line([*cells, *measured]) for cells in zip(*columns, strict=True)]
    return b"".join(lines).decode()


def _values(entries: pd.DataFrame, name: str) -> list[float | None]:
    """A metric's values, None where there is none or where it is not finite."""
    return [finite(value) for value in entries[name].tolist()]


def _guarded(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


def _listed(group: Group) -> pd.DataFrame:
    """The ranked entries, then the suspect ones; in the column `model` a local one with a shipped one's name is told
    apart."""
    entries = group.entries[group.standings["place"].notna() | (group.entries["status"] == "suspect")]
    again = ~entries["shipped"] & entries["name"].isin(group.entries["name"][group.entries["shipped"]])
    model = entries["name"] + np.where(again, " (scored here)", "")
    return entries.assign(model=model + np.where(entries["status"] == "suspect", " (suspect)", ""))
