"""The per-image CSV that the scorer writes (`python -m scorer … --csv FILE`), read back to look at the worst images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from submission import commands
from submission.csv_text import from_cell, read_table
from submission.errors import Problem, UsageError, listing
from submission.metrics import EXTRA_METRICS, METRICS
from submission.safe_read import NotReadable, read_regular

_MAX_BYTES = 2**30
_NOT_NUMBERS = ("image_name", "prompt")


@dataclass(frozen=True)
class Ranking:
    """Images with their values of one metric, the worst first. `label` is the metric's, `digits` it is printed with."""

    label: str
    arrow: str
    digits: int
    images: tuple[tuple[str, float], ...]


def _how_to_write() -> str:
    return f"`{commands.module('scorer')} … --csv FILE`"


def worst(path: Path, metric: str, n: int, names: Sequence[str]) -> Ranking:
    """The `n` images of `names` with the worst values of `metric` in the per-image CSV; equal ones in prompt order.

    Raises UsageError when the file is none, lacks the column (it says which there are), or is of other images.
    """
    problems: list[Problem] = []
    try:
        data = read_regular(path, _MAX_BYTES, follow=True)
    except NotReadable as error:
        raise UsageError(
            f"{path}: {error}; `{commands.module('scorer')} … --csv FILE` writes the values of each image"
        ) from None
    table = read_table(data, lambda header: "image_name" in header, problems)
    if table is None or problems or "image_name" not in table.header:
        told = f"\n{listing(problems)}" if problems else ""
        raise UsageError(f"{path}: is not a per-image CSV, as {_how_to_write()} writes it{told}")
    columns = [column for column in table.header if column not in _NOT_NUMBERS]
    if metric not in columns:
        raise UsageError(f"{path} has no column {metric!r}; it has: {', '.join(columns) or 'none'}")
    known = (METRICS | EXTRA_METRICS).get(metric)
    higher_is_better = known.higher_is_better if known else True  # what else there is are shares of what was asked for
    values: dict[str, float] = {}
    place, value_place = table.header.index("image_name"), table.header.index(metric)
    for line, cells in table.rows:
        try:
            value = float(cells[value_place])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            problems.append(Problem(f"line {line}", f"{metric} is {cells[value_place]!r}, not a number"))
        values[from_cell(cells[place])] = value
    if problems:
        raise UsageError(f"{path}: is not a per-image CSV\n{listing(problems)}")
    order = {name: number for number, name in enumerate(names)}
    if foreign := sorted(values.keys() - order.keys()):
        raise UsageError(f"{path} is of other images than the prompts name, such as {foreign[0]!r}")
    ranked = sorted(values, key=lambda name: (values[name] if higher_is_better else -values[name], order[name]))
    label, arrow = (known.label, known.arrow) if known else (metric, "↑")
    return Ranking(label, arrow, known.digits if known else 2, tuple((name, values[name]) for name in ranked[:n]))
