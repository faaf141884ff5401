"""A board's lines, read strictly: by vectors where nothing is odd, and line by line where something is.

The vectors accept only what `row.from_cells` would read in the same way; a line with anything else in it (a quote, a
number that is not finite, a cell too many) is left to `row.from_cells`, which reads it or says what is wrong.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from leaderboard.frame import COUNTS, FLOATS, of_rows
from leaderboard.row import (
    COLUMNS,
    MEASURED_BY,
    NEEDED,
    Row,
    count_cell,
    fingerprint,
    from_cells,
    look_cell,
    measured_by_cells,
    schema_cell,
    status_cell,
    text_cell,
)
from submission.errors import shown

_WHOLE = ("schema", "seed", "families", *COUNTS, "protocol")
# Nearly every row has another text there; in the other columns of text few texts come again and again.
_DISTINCT = ("name", "submission_sha256", "created_at", "look", "alike")
_REPEATED = tuple(column for column in COLUMNS if column not in (*FLOATS, *_DISTINCT))
_HASHES = re.compile(r"(?:[0-9a-f]{64}\n)*")
_ALIKE = re.compile(r"(?:(?:[0-9a-f]{64})?\n)*")
_SIMPLE = re.compile(r"[A-Za-z0-9](?: ?[!-~]){0,99}")
_CELL_BYTES = 50  # no number is longer
MAX_ROWS = 1_000_000
_KEY = ("name", "submission_sha256", "fingerprint")


class BrokenLine(ValueError):
    """What is wrong with line `line` of a board."""

    def __init__(self, line: int, what: object) -> None:
        super().__init__(what)
        self.line, self.what = line, shown(str(what), 400)


class _OddError(ValueError):
    """The vectors leave these lines to the strict reader."""


def header(line: bytes) -> list[str]:
    """The columns that the first line of a board names, in its order. Raises BrokenLine."""
    try:
        columns = next(csv.reader([line.decode("utf-8")], strict=True), [])
    except (csv.Error, UnicodeDecodeError) as error:
        raise BrokenLine(1, error) from None
    if missing := [column for column in NEEDED if column not in columns]:
        separator = next((name for sign, name in ((";", "semicolons"), ("\t", "tabs")) if sign in columns[0]), "")
        saved = f" (saved with {separator} between the cells? save it as CSV with commas)" if separator else ""
        raise BrokenLine(1, f"is not the header of a board: no column {', '.join(missing)}{saved}")
    for column in columns:
        if columns.count(column) > 1:
            raise BrokenLine(1, f"the header names the column {column!r} twice")
        meant = column.strip().casefold()
        if column not in COLUMNS and meant in COLUMNS:
            raise BrokenLine(1, f"the header names a column {column!r}; it is called {meant!r}")
    return columns


def parse(body: bytes, columns: Sequence[str]) -> pd.DataFrame:
    """The lines of a board after its header, each ended by a line feed, as a frame in the file's order.

    Raises BrokenLine for the first line that is not a row, or the second of two equal ones.
    """
    count = body.count(b"\n")
    if count == 0:
        return of_rows([])
    if count > MAX_ROWS:
        raise BrokenLine(MAX_ROWS + 2, f"there are {count:,} lines; a board has {MAX_ROWS:,} rows at most")
    odd = _odd_lines(body, columns)
    try:
        if odd is None or len(odd) == count:
            raise _OddError
        if len(odd):
            lines = np.array(body.removesuffix(b"\n").split(b"\n"), object)
            plain_lines = np.setdiff1d(np.arange(count), odd)
            fast = _vectors(b"\n".join(lines[plain_lines].tolist()) + b"\n", columns)
            slow = of_rows(_strictly(zip(odd.tolist(), lines[odd].tolist(), strict=True), columns))
            frame = pd.concat([fast.set_axis(plain_lines), slow.set_axis(odd)]).sort_index()
        else:
            frame = _vectors(body, columns)
    except _OddError:
        frame = of_rows(_strictly(enumerate(body.removesuffix(b"\n").split(b"\n")), columns))
    again = frame.duplicated(list(_KEY)).to_numpy()
    if again.any():
        line = int(again.argmax())
        same = (frame[list(_KEY)] == frame.iloc[line][list(_KEY)]).all(axis=1).to_numpy()
        raise BrokenLine(line + 2, f"the same name, submission and fingerprint as line {int(same.argmax()) + 2}")
    return frame


def _strictly(lines: Iterable[tuple[int, bytes]], columns: Sequence[str]) -> list[Row]:
    """The rows in lines, each with its number from 0. Raises BrokenLine."""
    rows = []
    for number, line in lines:
        try:
            # Every cell is on one line, so that a line is a row, and a quote left open is found where it is.
            rows.append(from_cells(next(csv.reader([line.decode("utf-8")], strict=True), []), columns))
        except (csv.Error, ValueError) as error:
            what = "not UTF-8" if isinstance(error, UnicodeDecodeError) else error
            raise BrokenLine(number + 2, what) from None
    return rows


def _odd_lines(body: bytes, columns: Sequence[str]) -> np.ndarray | None:
    """The numbers of the lines that have anything odd in them, (K,) int64, or None where all may have."""
    if b"\r" in body or b"\0" in body or not _is_utf8(body):
        return None
    array = np.frombuffer(body, np.uint8)
    ends = np.flatnonzero(array == ord("\n"))
    odd = np.zeros(len(ends), bool)
    if b'"' in body:
        odd[np.searchsorted(ends, np.flatnonzero(array == ord('"')))] = True
    commas = np.flatnonzero(array == ord(","))
    counts = np.diff(np.searchsorted(commas, ends), prepend=0)
    odd |= counts != len(columns) - 1
    even = np.flatnonzero(~odd)
    if not len(even):
        return np.flatnonzero(odd)
    # Where the commas of the even lines are, (lines, columns - 1), and where the lines begin and end.
    if len(even) == len(ends):
        inner = commas.reshape(len(ends), -1)
    else:
        inner = commas[(np.cumsum(counts)[even] - counts[even])[:, None] + np.arange(len(columns) - 1)]
    begin, end_of_line = np.concatenate([[0], ends[:-1] + 1])[even], ends[even]
    digit = np.zeros(256, bool)
    digit[ord("0") : ord("9") + 1] = True
    begins = digit.copy()
    begins[ord("-")] = True
    for place, column in enumerate(columns):
        # pandas takes more for a number than a board's: blanks around it, True, a sign, names of infinity.
        if column in FLOATS or column in _WHOLE:
            first_sign, longest = (begins, _CELL_BYTES) if column in FLOATS else (digit, 18)
            start = inner[:, place - 1] + 1 if place else begin
            end = inner[:, place] if place < len(columns) - 1 else end_of_line
            fits = first_sign[array[start]] & digit[array[end - 1]] & (end - start <= longest)
            odd[even[~(fits | (start == end))]] = True
    return np.flatnonzero(odd)


def _is_utf8(data: bytes) -> bool:
    if not data.isascii():
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            return False
    return True


def _vectors(body: bytes, columns: Sequence[str]) -> pd.DataFrame:
    """The frame of lines that have no quote and as many cells as columns. Raises _OddError where anything is odd."""
    known = [column for column in columns if column in COLUMNS]
    types = {column: "float64" if column in FLOATS else "category" for column in known}
    types |= {column: object for column in known if column in _DISTINCT}
    try:
        read = pd.read_csv(
            io.BytesIO(body),
            header=None,
            names=list(columns),
            usecols=known,
            dtype=types,
            index_col=False,
            keep_default_na=False,
            na_values={column: [""] for column in known if column in FLOATS},
            skip_blank_lines=False,
            quoting=csv.QUOTE_NONE,
            lineterminator="\n",
            encoding="utf-8",
            low_memory=False,
        )
    except (ValueError, UnicodeDecodeError, OverflowError):  # pandas' ParserError is a ValueError
        raise _OddError from None
    frame = {column: read[column].to_numpy() for column in known if column in FLOATS}
    if not all(np.isfinite(values[~np.isnan(values)]).all() for values in frame.values()):
        raise _OddError
    frame |= {column: np.full(len(read), np.nan) for column in FLOATS if column not in known}
    try:
        frame |= {column: _checked(column, read[column]) for column in known if column in _DISTINCT}
        codes, texts = {}, {}
        for column in _REPEATED:
            if column in known:
                codes[column] = read[column].cat.codes.to_numpy().astype(np.int64)
                texts[column] = [str(text) for text in read[column].cat.categories]
            else:
                codes[column], texts[column] = np.zeros(len(read), np.int64), [""]
            values = [_repeated(column, text) for text in texts[column]]
            values = np.array(values, np.int64 if column in COUNTS else object)
            frame[column] = values[codes[column]]
    except ValueError:
        raise _OddError from None
    empty = np.full(len(read), "", object)
    frame |= {column: empty for column in ("look", "alike") if column not in known}
    if (frame["tiers_passed"] > frame["tiers"]).any():
        raise _OddError
    _check_fingerprints(codes, texts)
    del frame["schema"]
    return pd.DataFrame({column: _series(values) for column, values in {**frame, "nan": empty}.items()})


def _series(values: np.ndarray) -> pd.Series:
    return pd.Series(values, dtype=values.dtype, copy=False)  # or text would be looked through for what it is


def _checked(column: str, cells: pd.Series) -> np.ndarray:
    """The values of one column of `_DISTINCT`. Raises ValueError."""
    values = cells.tolist()
    if column == "created_at":
        return _times(values)
    if column == "name":
        values = [
            text if _SIMPLE.fullmatch(text) else text_cell({"name": text}, "name", needed=True) for text in values
        ]
    elif column == "look":
        for text in values:
            look_cell({"look": text})
    else:
        pattern = _HASHES if column == "submission_sha256" else _ALIKE
        if not pattern.fullmatch("\n".join([*values, ""])):
            raise ValueError(column)
    return np.array(values, object)


def _times(texts: list[str]) -> np.ndarray:
    """Times as 2026-01-31T12:00:00Z, (N,) datetime64[s]. Raises ValueError for every other form."""
    joined = "".join(texts).encode()
    if any(len(text) != 20 for text in texts) or len(joined) != 20 * len(texts):
        raise ValueError("created_at")
    signs = np.frombuffer(joined, np.uint8).reshape(-1, 20)
    form = np.frombuffer(b"0000-00-00T00:00:00Z", np.uint8)
    digits = form == ord("0")
    if (signs[:, ~digits] != form[~digits]).any() or ((signs[:, digits] < 48) | (signs[:, digits] > 57)).any():
        raise ValueError("created_at")
    return np.ascontiguousarray(signs[:, :19]).view("S19").ravel().astype("datetime64[s]")


def _repeated(column: str, text: str) -> str | int:
    """The value of a cell in a column of `_REPEATED`. Raises ValueError."""
    cells = {column: text}
    if column in COUNTS:
        return count_cell(cells, column) if text or column == "n" else 0
    if column in ("seed", "families"):
        return str(count_cell(cells, column)) if text else ""
    if column == "protocol":
        return str(count_cell(cells, column)) if text else ""
    if column == "status":
        return status_cell(cells)
    if column == "schema":
        schema_cell(cells)
    if column in ("schema", "fingerprint"):
        return text
    if column == "broken":
        return text_cell(cells, column, limit=600)
    return text_cell(cells, column, needed=column == "competition")


def _check_fingerprints(codes: dict[str, np.ndarray], texts: dict[str, list[str]]) -> None:
    """Raises _OddError unless every line's fingerprint is what the line's own fields make."""
    keys = ("fingerprint", "competition", "n", *MEASURED_BY)
    together = np.zeros(len(codes["n"]), np.int64)
    for key in keys:
        if len(texts[key]) == 1:
            continue
        together = np.unique(together * len(texts[key]) + codes[key], return_inverse=True)[1]
    for line in np.unique(together, return_index=True)[1]:
        cells = {key: texts[key][codes[key][line]] for key in keys}
        try:
            made = fingerprint(text_cell(cells, "competition"), count_cell(cells, "n"), measured_by_cells(cells))
        except ValueError:
            raise _OddError from None
        if made != cells["fingerprint"]:
            raise _OddError
