"""The board as a pandas DataFrame: the columns, and rows to a frame and back.

| columns of the frame                                                        | type                                  |
|-----------------------------------------------------------------------------|---------------------------------------|
| `NUMBERS`, `mark`                                                           | float64, NaN where there is none      |
| `n`, `tiers`, `tiers_passed`                                                | int64                                 |
| `created_at`                                                                | datetime64[s], UTC                    |
| `nan`: which numbers are NaN in the file, with commas between them          | text                                  |
| the others of `COLUMNS`                                                     | text, "" where there is none          |
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from leaderboard.row import MEASURED_BY, NUMBERS, Row

COUNTS = ("n", "tiers", "tiers_passed")
FLOATS = (*NUMBERS, "mark")
_TEXTS = ("name", "competition", "model", "submission_sha256", "fingerprint", "status", "broken", "look", "alike")


def of_rows(rows: Iterable[Row]) -> pd.DataFrame:
    """The frame of rows in their order."""
    rows = list(rows)
    columns: dict[str, object] = {
        column: pd.Series([str(getattr(row, column)) for row in rows], dtype=object) for column in _TEXTS
    }
    for column in ("seed", "families"):
        values = [getattr(row, column) for row in rows]
        columns[column] = pd.Series(["" if value is None else str(value) for value in values], dtype=object)
    for key in MEASURED_BY:
        columns[key] = pd.Series([str(row.measured_by.get(key, "")) for row in rows], dtype=object)
    for column in COUNTS:
        columns[column] = np.array([getattr(row, column) for row in rows], np.int64)
    for column in NUMBERS:
        columns[column] = np.array([row.numbers[column] for row in rows], np.float64)
    columns["mark"] = np.array([row.mark for row in rows], np.float64)
    columns["nan"] = pd.Series(
        [",".join(key for key, value in row.numbers.items() if value is not None and value != value) for row in rows],
        dtype=object,
    )
    columns["created_at"] = np.array([row.created_at.replace(tzinfo=None) for row in rows], "datetime64[s]")
    return pd.DataFrame(columns)


def to_rows(frame: pd.DataFrame) -> list[Row]:
    """The rows of a frame in its order."""
    numbers = [frame[column].tolist() for column in NUMBERS]
    texts = {column: frame[column].tolist() for column in frame.columns if column not in FLOATS}
    marks = frame["mark"].tolist()
    times = [datetime.fromtimestamp(second, UTC) for second in frame["created_at"].astype("int64").tolist()]
    rows = []
    for at in range(len(frame)):
        cell = {column: values[at] for column, values in texts.items()}
        values = {column: values[at] for column, values in zip(NUMBERS, numbers, strict=True)}
        nan = cell["nan"].split(",") if cell["nan"] else ()
        measured_by: dict[str, str | int] = {key: cell[key] for key in MEASURED_BY if cell[key]}
        if "protocol" in measured_by:
            measured_by["protocol"] = int(measured_by["protocol"])
        rows.append(
            Row(
                name=cell["name"],
                competition=cell["competition"],
                model=cell["model"],
                seed=int(cell["seed"]) if cell["seed"] else None,
                n=cell["n"],
                numbers={key: value if value == value or key in nan else None for key, value in values.items()},
                tiers_passed=cell["tiers_passed"],
                tiers=cell["tiers"],
                submission_sha256=cell["submission_sha256"],
                measured_by=measured_by,
                created_at=times[at],
                status=cell["status"],
                mark=marks[at] if marks[at] == marks[at] else None,
                broken=cell["broken"],
                look=cell["look"],
                alike=cell["alike"],
                families=int(cell["families"]) if cell["families"] else None,
            )
        )
    return rows
