"""A point of a study: one generator's images for a competition, and what the scorer measures of them, each once; how
points are written as a table and as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

import scorer
from baselines.draw import Request, draw
from submission import Scorecard, Submission, atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def measured(
    request: Request, study: Path, name: str, *, overwrite: bool = False, extra: bool = False
) -> tuple[Submission, Scorecard]:
    """What a request draws, in `study`/drawings/`name`, and its scorecard, in `study`/scorecards/`name`.json.

    What is there already is neither drawn nor scored again; `extra` asks for more scores, precision among them. Raises
    UsageError when there is another drawing.
    """
    folder, file = study / "drawings" / name, study / "scorecards" / f"{name}.json"
    draw(request, folder, overwrite=overwrite)
    drawn = Submission.open(folder, request.competition, verify=False)
    if file.exists():
        kept = Scorecard.from_json(file.read_text(encoding="utf-8"))
        if kept.submission == drawn.sha256 and (kept.extra or not extra):
            return drawn, kept
    scorecard = scorer.score(drawn, request.competition, request.device, limit=request.limit, extra=extra)
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(file, scorecard.to_json())
    return drawn, scorecard


def csv_text(rows: pd.DataFrame | Sequence[Mapping[str, object]]) -> str:
    """A line for each row; a value that there is none of stays empty."""
    return str(pd.DataFrame(rows).to_csv(index=False, lineterminator="\n", float_format="%.5g"))


def write_figure(page: Figure, path: Path) -> None:
    """As a PNG that does not name what wrote it."""
    with atomic.replacing(path) as file:
        page.savefig(file, format="png", metadata={"Software": None})
