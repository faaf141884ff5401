"""A board's lines, read strictly: by vectors where nothing is odd, and line by line where something is.

The vectors accept only what `row.from_cells` would read in the same way; a line with anything else in it (a number that
is not finite, a cell too many) is left to `row.from_cells`, which reads it or says what is wrong.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from itertools import groupby

import numpy as np
import pandas as pd

from leaderboard.columns import COLUMNS, FLOATS, NEEDED, PATTERNS, READ
from leaderboard.row import CHECKED, TYPES, Row, check, frame_of, framed, from_cells
from submission.errors import shown

# Columns where nearly every row has another text: what a cell is that needs no reading. A name may be of another form,
# and is read then. In the columns that are neither here nor numbers few texts come again and again.
_DISTINCT = {
    "name": r"[A-Za-z0-9](?: ?[!-~]){0,99}",
    "created_at": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    **PATTERNS,
}
_CELL_BYTES = 50  # no number is longer
_COMMA = "\1"  # what stands for a comma of a cell while lines are cut at commas; no cell of ours has it
_BLOCK_BYTES = 8 * 2**20  # read at a time: what is made of them stays in a processor's cache, and small
MAX_ROWS = 1_000_000
_KEY = ["name", "submission_sha256", "fingerprint"]


class BrokenLine(ValueError):
    """What is wrong with line `line` of a board."""

    def __init__(self, line: int, what: object) -> None:
        super().__init__(what)
        self.line, self.what = line, shown(str(what), 400)


def header(line: bytes) -> list[str]:
    """The columns that the first line of a board names, in its order. Raises BrokenLine."""
    try:
        columns = next(csv.reader([line.decode("utf-8")], strict=True), []) or [""]
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


def parse(data: bytes, columns: Sequence[str]) -> pd.DataFrame:
    """The rows of a board whose first line is the header, each line ended by a line feed, in the file's order.

    Raises BrokenLine for the first line that is not a row, or the second of two equal ones.
    """
    if (count := data.count(b"\n") - 1) > MAX_ROWS:
        raise BrokenLine(MAX_ROWS + 2, f"there are {count:,} lines; a board has {MAX_ROWS:,} rows at most")
    blocks = [frame_of([])]
    begin, read = data.index(b"\n") + 1, 0
    while begin < len(data):
        end = data.index(b"\n", min(begin + _BLOCK_BYTES, len(data) - 1)) + 1
        blocks.append(_block(data[begin:end], columns, read + 2))
        begin, read = end, read + len(blocks[-1])
    frame = pd.concat(blocks, ignore_index=True)
    again = frame.duplicated(_KEY).to_numpy()
    if again.any():
        line = int(again.argmax())
        same = (frame[_KEY] == frame.iloc[line][_KEY]).all(axis=1).to_numpy()
        raise BrokenLine(line + 2, f"the same name, submission and fingerprint as line {int(same.argmax()) + 2}")
    return frame


def _block(body: bytes, columns: Sequence[str], first: int) -> pd.DataFrame:
    """The rows in some lines, whose numbers in the file begin with `first`. Raises BrokenLine."""
    count = body.count(b"\n")

    def strictly(numbers: Iterable[int]) -> pd.DataFrame:
        lines = body.split(b"\n")
        return frame_of(_strictly(((first + number, lines[number]) for number in numbers), columns))

    try:
        body.decode("utf-8")
        if any(sign in body for sign in (b"\r", b"\0", _COMMA.encode())):
            raise ValueError("signs that the vectors do not read as they stand")
        text = body
        if b'"' in body:
            text = b"\n".join([_unquoted(line) if b'"' in line else line for line in body.split(b"\n")])
        edges, numbers = _edges(text, columns)
        if not len(numbers):
            raise ValueError("no line for the vectors")
        frame = _vectors(text, edges, columns)
    except (ValueError, OverflowError):
        return strictly(range(count))
    if len(numbers) < count:
        left = np.delete(np.arange(count), numbers)
        frame = pd.concat([frame.set_axis(numbers), strictly(left.tolist()).set_axis(left)]).sort_index()
    return frame


def _strictly(lines: Iterable[tuple[int, bytes]], columns: Sequence[str]) -> list[Row]:
    """The rows in lines, each with its number in the file. Raises BrokenLine."""
    rows = []
    for number, line in lines:
        try:
            # Every cell is on one line, so that a line is a row, and a quote left open is found where it is.
            rows.append(from_cells(next(csv.reader([line.decode("utf-8")], strict=True), []), columns))
        except (csv.Error, ValueError) as error:
            what = "not UTF-8" if isinstance(error, UnicodeDecodeError) else error
            raise BrokenLine(number, what) from None
    return rows


def _unquoted(line: bytes) -> bytes:
    """A line with the same cells and no quotes, or with no cells where they cannot be told apart."""
    try:
        (cells,) = csv.reader([line.decode()], strict=True)
    except csv.Error:
        return b""
    return ",".join(cell.replace(",", _COMMA) for cell in cells).encode()


def _edges(text: bytes, columns: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Where the cells of the lines are that have the right number of cells and no number that is written oddly:
    the place of the sign before each cell and after the last one, (columns + 1, M), and the lines' numbers, (M,)."""
    array, cells = np.frombuffer(text, np.uint8), len(columns)
    signs = np.flatnonzero((array == ord(",")) | (array == ord("\n")))
    ends = np.flatnonzero(array[signs] == ord("\n"))
    numbers = np.flatnonzero(np.diff(ends, prepend=-1) == cells)
    edges = np.concatenate([[-1], signs])[ends[numbers, None] + np.arange(1 - cells, 2)]
    edges = np.ascontiguousarray(edges.T)  # it is read column by column
    # Of each byte whether a number may end, and begin, with it.
    last = np.isin(np.arange(256), list(b"0123456789"))
    first = last | (np.arange(256) == ord("-"))
    even = np.ones(len(numbers), bool)
    for place, column in enumerate(columns):
        # pandas takes more for a number than a board's: blanks around it, True, a plus, names of infinity.
        if column in FLOATS:
            start, end = edges[place] + 1, edges[place + 1]
            even &= (start == end) | (first[array[start]] & last[array[end - 1]] & (end - start <= _CELL_BYTES))
    return (edges, numbers) if even.all() else (edges[:, even], numbers[even])


def _kind(column: str) -> str:
    """What adjacent columns have in common that are read together; of those in `_DISTINCT` each is its own."""
    if column in FLOATS:
        return "floats"
    if column in _DISTINCT:
        return column
    return "repeated" if column in COLUMNS else "unknown"


def _vectors(text: bytes, edges: np.ndarray, columns: Sequence[str]) -> pd.DataFrame:
    """The rows of the lines whose cells have these `edges`. Raises ValueError, OverflowError where any is odd."""
    count = edges.shape[1]
    arrays = {"nan": np.full(count, "", object)}
    for kind, run in groupby(enumerate(columns), lambda column: _kind(column[1])):
        places, names = zip(*run, strict=True)
        starts, ends = edges[places[0]] + 1, edges[places[-1] + 1]
        if kind == "repeated":
            arrays |= _repeated(text, starts, ends, names)
        elif kind == "floats":
            arrays |= _floats(_lines(_cells(text, starts, ends)), names)
        elif kind != "unknown":
            arrays[kind] = _distinct(_lines(_cells(text, starts, ends)), kind)
    for name in COLUMNS:
        if name not in arrays:
            arrays[name] = np.full(count, READ[name](""), TYPES.get(name, object))
    del arrays["schema"]
    for fields in set(zip(*(arrays[name].tolist() for name in CHECKED), strict=True)):
        check(dict(zip(CHECKED, fields, strict=True)))
    return framed(arrays)


def _cells(text: bytes, starts: np.ndarray, ends: np.ndarray) -> list[bytes]:
    return [text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def _lines(cells: Iterable[bytes]) -> bytes:
    return b"\n".join([*cells, b""])


def _repeated(text: bytes, starts: np.ndarray, ends: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Adjacent columns, of which few texts come again and again: each text is read once."""
    count = len(starts)
    if _are_alike(text, starts, ends):
        starts, ends = starts[:1], ends[:1]
    codes, texts = pd.factorize(np.array(_cells(text, starts, ends), object))
    arrays = {}
    for name, column in zip(names, zip(*(text.decode().split(",") for text in texts), strict=True), strict=True):
        values = {cell: READ[name](cell.replace(_COMMA, ",")) for cell in set(column)}
        read = np.array([values[cell] for cell in column], TYPES.get(name, object))[codes]
        arrays[name] = np.repeat(read, count // len(codes))
    return arrays


def _floats(lines: bytes, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Adjacent columns of numbers. Raises ValueError for another text, and for infinity."""
    floats = pd.read_csv(
        io.BytesIO(lines), header=None, names=list(names), dtype="float64", index_col=False, keep_default_na=False,
        na_values=[""], skip_blank_lines=False, quoting=csv.QUOTE_NONE, lineterminator="\n",
    ).to_numpy()  # fmt: skip
    if np.isinf(floats).any():
        raise ValueError("infinite")
    return dict(zip(names, floats.T, strict=True))


def _distinct(lines: bytes, column: str) -> np.ndarray:
    """A column of `_DISTINCT`. Raises ValueError where a cell is not of its form; a name may be of another."""
    cells = lines.decode().split("\n")[:-1]
    if not re.fullmatch(rf"(?:{_DISTINCT[column]}\n)*".encode(), lines):
        if column != "name":
            raise ValueError(column)
        cells = [READ[column](cell.replace(_COMMA, ",")) for cell in cells]
    if column == "created_at":
        cells = [time.removesuffix("Z") for time in cells]
    return np.array(cells, TYPES.get(column, object))


def _are_alike(text: bytes, starts: np.ndarray, ends: np.ndarray) -> bool:
    """Whether the same is between all of the places."""
    lengths = ends - starts
    if (lengths != lengths[0]).any():
        return False
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(text, np.uint8), lengths[0])
    return bool((windows[starts] == windows[starts[0]]).all())
