"""A row of the board: a scored submission with what measured it, to and from the cells of a CSV line, and to and from
the board's DataFrame.

| columns of the frame                                               | type                                           |
|--------------------------------------------------------------------|------------------------------------------------|
| `FLOATS`: the metrics and their intervals, `mark`                  | float64, NaN where there is none               |
| `COUNTS`                                                           | int64                                          |
| `created_at`                                                       | datetime64[s], UTC                             |
| `nan`: which numbers are NaN in the file, with commas between them | text                                           |
| the others of `COLUMNS`                                            | object: text, "" where there is none, or whole |
|                                                                    | numbers, None where there is none              |
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from leaderboard.columns import BROKEN_LIMIT, COLUMNS, COUNTS, FLOATS, MEASURED_BY, NUMBERS, READ, SCHEMA, plain
from submission.csv_text import as_cell
from submission.metrics import METRICS
from submission.scorecard import TIME_FORMAT, Score, Scorecard

# Of the frame's columns; the others are objects.
TYPES = dict.fromkeys(COUNTS, "int64") | dict.fromkeys(FLOATS, "float64") | {"created_at": "datetime64[s]"}


@dataclass(frozen=True)
class Row:
    """A line of the board.

    `numbers` maps each column of `NUMBERS` to its value: None where there is none, NaN or infinite only in a file that
    something else wrote. `measured_by` is the fingerprint without `competition` and `n`. `tiers` is how many tiers
    there were when it was scored, `created_at` is UTC, `status` is "ok", "suspect" (it breaks
    a rule of the competition) or "invalid". `mark` is in percent, None where the competition gives none; `broken` says
    which rules a suspect broke; `look` is the submission's (`submission.similarity_digest`), "" where it is not known;
    `alike` has the `submission_sha256` of each earlier entry under another name that looks the same, "" where there is
    none; `families` is how many families of prompts the intervals draw anew, None in a row of a version whose intervals
    drew single images, and so are too narrow.
    """

    name: str
    competition: str
    model: str
    seed: int | None
    n: int
    numbers: dict[str, float | None]
    tiers_passed: int
    tiers: int
    submission_sha256: str
    measured_by: dict[str, str | int]
    created_at: datetime
    status: str = "ok"
    mark: float | None = None
    broken: str = ""
    look: str = ""
    alike: str = ""
    families: int | None = None

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits of the sha256 over everything that decides whether two rows may be compared."""
        return fingerprint(self.competition, self.n, self.measured_by)

    @property
    def scores(self) -> dict[str, Score]:
        """Every metric as `score` gives it."""
        return {metric: self.score(metric) for metric in METRICS}

    def score(self, metric: str) -> Score:
        """The metric as a Score; a value that is not finite is one that is missing."""
        value, low, high = (finite(self.numbers[column]) for column in (metric, f"{metric}_low", f"{metric}_high"))
        return Score(value, low, high, None if value is not None else "not on the board")


def fingerprint(competition: str, n: int, measured_by: Mapping[str, str | int]) -> str:
    """Twelve hex digits of the sha256 over everything that decides whether two rows may be compared."""
    fields = {**measured_by, "competition": competition, "n": n}
    return hashlib.sha256(json.dumps(fields, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:12]


def finite(value: float | None) -> float | None:
    """`value`, or None when it is not finite."""
    return value if value is not None and math.isfinite(value) else None


def from_scorecard(card: Scorecard, created_at: datetime | None = None) -> Row:
    """The row of a scorecard, made now (UTC) unless `created_at` says when.

    Raises ValueError when the scorecard cannot be a row: no name, no proper hash, a fingerprint field the board has no
    column for.
    """
    given = card.fingerprint.items()
    measured_by = {key: value for key, value in given if value is not None and key not in ("competition", "n")}
    if unknown := sorted(measured_by.keys() - set(MEASURED_BY)):
        raise ValueError(f"the board has no column for the fingerprint's {', '.join(unknown)}")
    manifest: Mapping[str, object] = card.manifest or {}
    seed = manifest.get("seed")
    broken = card.suspicions.broken if card.suspicions is not None else []
    row = Row(
        name=plain(card.name),
        competition=plain(card.competition),
        model=plain(str(manifest.get("model") or "")),
        seed=seed if isinstance(seed, int) and not isinstance(seed, bool) else None,
        n=card.n,
        numbers=dict.fromkeys(NUMBERS),
        tiers_passed=sum(tier.passed for tier in card.tiers),
        tiers=len(card.tiers),
        submission_sha256=card.submission,
        measured_by=measured_by,
        created_at=(created_at or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0),
        status="suspect" if card.suspect else "ok",
        mark=(0.0 if card.suspect else card.mark.value) if card.mark is not None else None,
        broken=plain("; ".join(f"{rule.rule}: {rule.reason}" for rule in broken), BROKEN_LIMIT),
        look=card.look or "",
        families=card.families,
    )
    for metric, score in card.scores.items():
        row.numbers.update({metric: score.value, f"{metric}_low": score.low, f"{metric}_high": score.high})
    from_cells(to_cells(row))  # whatever is written can be read again
    return row


def to_cells(row: Row, columns: Sequence[str] = COLUMNS) -> list[str]:
    """The row as CSV cells in the order of `columns`, "" in those that it has nothing for; numbers keep every digit."""
    values = _values(row)
    return [_cell(values.get(column)) for column in columns]


def _values(row: Row) -> dict[str, Any]:
    own = {field.name: getattr(row, field.name) for field in fields(row)}
    measured_by = own.pop("measured_by")
    blank = {key: None if key == "protocol" else "" for key in MEASURED_BY}
    return {"schema": SCHEMA, **own.pop("numbers"), "fingerprint": row.fingerprint, **own, **blank, **measured_by}


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return as_cell(value)
    if isinstance(value, datetime):
        return value.strftime(TIME_FORMAT)
    return "" if value is None else str(value)


def from_cells(cells: Sequence[str], columns: Sequence[str] = COLUMNS) -> Row:
    """The row in the cells of one line, which are those of `columns`; unknown columns are not looked at.

    Raises ValueError that says which column is wrong, and how.
    """
    if len(cells) != len(columns):
        raise ValueError(f"has {len(cells)} columns, not {len(columns)}")
    given = dict(zip(columns, cells, strict=True))
    values = {column: read(given.get(column, "")) for column, read in READ.items()}
    check(values)
    return _row(values)


# The columns that `check` looks at.
CHECKED = ("tiers_passed", "tiers", "fingerprint", "competition", "n", *MEASURED_BY)


def check(values: Mapping[str, Any]) -> None:
    """Raises ValueError where the values of a row's columns contradict each other."""
    if values["tiers_passed"] > values["tiers"]:
        raise ValueError(f"tiers_passed is {values['tiers_passed']} of {values['tiers']}")
    made = fingerprint(values["competition"], values["n"], measured_by(values))
    if values["fingerprint"] != made:
        raise ValueError(f"fingerprint is {values['fingerprint']!r}, but the line's own fields make {made!r}")


def _row(values: Mapping[str, Any]) -> Row:
    own = {field.name: values[field.name] for field in fields(Row) if field.name in values}
    return Row(**own, numbers={key: values[key] for key in NUMBERS}, measured_by=measured_by(values))


def measured_by(values: Mapping[str, Any]) -> dict[str, str | int]:
    """The fingerprint without `competition` and `n`, of the values of a row's columns."""
    return {key: values[key] for key in MEASURED_BY if values[key] not in ("", None)}


def frame_of(rows: Iterable[Row]) -> pd.DataFrame:
    """The frame of rows in their order."""
    lines = [_values(row) for row in rows]
    for line in lines:
        line["nan"] = ",".join(key for key in NUMBERS if line[key] is not None and line[key] != line[key])
        line["created_at"] = line["created_at"].replace(tzinfo=None)
    columns = (*(column for column in COLUMNS if column != "schema"), "nan")
    return framed({column: np.array([line[column] for line in lines], TYPES.get(column, object)) for column in columns})


def framed(arrays: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """The frame of its columns, each with its array's type: text would be looked through for what it is."""
    index = pd.RangeIndex(len(arrays["name"]))  # the same for all, or pandas would compare them
    columns = {name: pd.Series(array, index, array.dtype, copy=False) for name, array in arrays.items()}
    return pd.DataFrame(columns, index)


def newest(frame: pd.DataFrame) -> pd.DataFrame:
    """The row with the latest time, the last one of several; none of none. People sort a board's lines."""
    return frame.sort_values("created_at", kind="stable").iloc[-1:]


def rows_of(frame: pd.DataFrame) -> list[Row]:
    columns = {str(column): frame[column].tolist() for column in frame.columns}
    columns["created_at"] = [datetime.fromtimestamp(time, UTC) for time in frame["created_at"].astype("int64").tolist()]
    rows = []
    for cells in zip(*columns.values(), strict=True):
        values = dict(zip(columns, cells, strict=True))
        nan = values["nan"].split(",")
        for column in FLOATS:
            if values[column] != values[column] and column not in nan:
                values[column] = None
        rows.append(_row(values))
    return rows
