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

from leaderboard.columns import COLUMNS, COUNTS, FLOATS, MEASURED_BY, NEEDED, PATTERNS, READ
from leaderboard.row import TYPES, Arrays, Row, arrays_of, fingerprint, framed, from_cells, measured_by
from submission.errors import shown

_WHOLE = ("schema", "seed", "families", *COUNTS, "protocol")
# Nearly every row has another text there; in the columns that are no numbers either, few texts come again and again.
_DISTINCT = ("name", "submission_sha256", "created_at", "look", "alike")
_SIMPLE = r"[A-Za-z0-9](?: ?[!-~]){0,99}"  # a name that is read as it stands
_PATTERNS = {column: re.compile(rf"(?:{pattern}\n)*") for column, pattern in {"name": _SIMPLE, **PATTERNS}.items()}
_CELL_BYTES = 50  # no number is longer
_BLOCK_BYTES = 8 * 2**20  # read at a time: what is made of them stays in a processor's cache, and small
MAX_ROWS = 1_000_000
_MEASURED = ("fingerprint", "competition", "n", *MEASURED_BY)
_KEY = ["name", "submission_sha256", "fingerprint"]
# What stands for a comma and a quote that belong to a cell while lines are cut at commas; no cell of ours has these.
_COMMA, _QUOTE = b"\1", b"\2"
_HIDDEN = str.maketrans({_COMMA.decode(): ",", _QUOTE.decode(): '"'})


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
    blocks: list[Arrays] = []
    begin, read = data.index(b"\n") + 1, 0
    while begin < len(data):
        end = data.index(b"\n", min(begin + _BLOCK_BYTES, len(data) - 1)) + 1
        blocks.append(_block(data[begin:end], columns, read + 2))
        begin, read = end, read + len(blocks[-1]["name"])
    blocks = blocks or [arrays_of([])]
    frame = framed({column: np.concatenate([block.pop(column) for block in blocks]) for column in [*blocks[0]]})
    again = frame.duplicated(_KEY).to_numpy()
    if again.any():
        line = int(again.argmax())
        same = (frame[_KEY] == frame.iloc[line][_KEY]).all(axis=1).to_numpy()
        raise BrokenLine(line + 2, f"the same name, submission and fingerprint as line {int(same.argmax()) + 2}")
    return frame


def _block(body: bytes, columns: Sequence[str], first: int) -> Arrays:
    """The rows in some lines, whose numbers in the file begin with `first`. Raises BrokenLine."""
    ends = np.flatnonzero(np.frombuffer(body, np.uint8) == ord("\n"))
    begins = np.concatenate([[0], ends[:-1] + 1])

    def strictly(numbers: np.ndarray) -> Arrays:
        places = zip(numbers.tolist(), begins[numbers].tolist(), ends[numbers].tolist(), strict=True)
        return arrays_of(_strictly(((first + number, body[begin:end]) for number, begin, end in places), columns))

    try:
        text, odd = _without_quotes(body, ends)
        edges, numbers = _edges(text, columns)
        edges, numbers = edges[:, ~odd[numbers]], numbers[~odd[numbers]]
        if not len(numbers):
            raise _OddError
        arrays = _vectors(text, edges, columns)
    except _OddError:
        return strictly(np.arange(len(ends)))
    if len(numbers) < len(ends):
        left = np.setdiff1d(np.arange(len(ends)), numbers)
        order = np.argsort(np.concatenate([numbers, left]))
        arrays = {column: np.concatenate([arrays[column], more])[order] for column, more in strictly(left).items()}
    return arrays


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


def _without_quotes(body: bytes, ends: np.ndarray) -> tuple[bytes, np.ndarray]:
    """The lines of `body`, which end at `ends`, with the same cells and no quotes, and which of them cannot be written
    so, (N,) bool."""
    odd = np.zeros(len(ends), bool)
    if _COMMA in body or _QUOTE in body:
        raise _OddError
    if b'"' not in body:
        return body, odd
    quotes = np.flatnonzero(np.frombuffer(body, np.uint8) == ord('"'))
    quoted = np.unique(np.searchsorted(ends, quotes))
    parts, done = [], 0
    for number, end in zip(quoted.tolist(), ends[quoted].tolist(), strict=True):
        begin = body.rfind(b"\n", 0, end) + 1
        pieces = body[begin:end].split(b'"')
        # In turn what is outside of quotes and what is inside; nothing between two quotes is a quote inside.
        outside, inside = pieces[::2], pieces[1::2]
        between = [piece == b"" or piece[:1] == piece[-1:] == b"," for piece in outside[1:-1]]
        fits = outside[0][-1:] in (b"", b",") and outside[-1][:1] in (b"", b",") and all(between)
        if len(outside) == len(inside) or not fits:  # a quote is left open, or is none that a quoted cell has
            odd[number] = True
            continue
        pieces[1::2] = [piece.replace(b",", _COMMA) for piece in inside]
        pieces[2:-1:2] = [piece or _QUOTE for piece in outside[1:-1]]
        parts += [body[done:begin], *pieces]
        done = end
    return b"".join([*parts, body[done:]]), odd


def _edges(text: bytes, columns: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Where the cells of the lines are that have the right number of cells and no number that is written oddly:
    the place of the sign before each cell and after the last one, (columns + 1, M), and the lines' numbers, (M,).

    Raises _OddError where any line may be odd.
    """
    if b"\r" in text or b"\0" in text or not _is_utf8(text):
        raise _OddError
    array, cells = np.frombuffer(text, np.uint8), len(columns)
    signs = np.flatnonzero((array == ord(",")) | (array == ord("\n")))
    ends = np.flatnonzero(array[signs] == ord("\n"))
    numbers = np.flatnonzero(np.diff(ends, prepend=-1) == cells)
    edges = np.concatenate([[-1], signs])[ends[numbers, None] + np.arange(1 - cells, 2)]
    edges = np.ascontiguousarray(edges.T)  # it is read column by column
    digit = np.zeros(256, bool)
    digit[ord("0") : ord("9") + 1] = True
    sign = digit.copy()
    sign[ord("-")] = True
    even = np.ones(len(numbers), bool)
    for place, column in enumerate(columns):
        # pandas takes more for a number than a board's: blanks around it, True, a sign, names of infinity.
        if column in FLOATS or column in _WHOLE:
            begin, longest = (sign, _CELL_BYTES) if column in FLOATS else (digit, 18)
            start, end = edges[place] + 1, edges[place + 1]
            even &= (start == end) | (begin[array[start]] & digit[array[end - 1]] & (end - start <= longest))
    return (edges, numbers) if even.all() else (edges[:, even], numbers[even])


def _is_utf8(data: bytes) -> bool:
    if not data.isascii():
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            return False
    return True


def _vectors(text: bytes, edges: np.ndarray, columns: Sequence[str]) -> Arrays:
    """The rows of the lines whose cells have these `edges`. Raises _OddError where anything is odd."""
    count = edges.shape[1]
    frame: dict[str, np.ndarray] = {"nan": np.full(count, "", object)}
    try:
        for kind, run in groupby(enumerate(columns), lambda column: _kind(column[1])):
            places, names = zip(*run, strict=True)
            starts, ends = edges[places[0]] + 1, edges[places[-1] + 1]
            if kind == "unknown" or (starts == ends).all():
                continue
            if kind == "repeated" and (same := _same(text, starts, ends)):
                frame |= {name: np.repeat(values, count) for name, values in _repeated([same], names).items()}
            else:
                cells = [text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
                frame |= _READERS.get(kind, _distinct)(cells, names)
        for column in COLUMNS:
            if column not in frame:
                value = READ[column]("")
                frame[column] = np.full(count, value, TYPES.get(column, object))
    except ValueError:
        raise _OddError from None
    if (frame["tiers_passed"] > frame["tiers"]).any():
        raise _OddError
    del frame["schema"]
    for fields in set(zip(*(frame[key].tolist() for key in _MEASURED), strict=True)):
        values = dict(zip(_MEASURED, fields, strict=True))
        if fingerprint(values["competition"], values["n"], measured_by(values)) != values["fingerprint"]:
            raise _OddError
    return frame


def _same(text: bytes, starts: np.ndarray, ends: np.ndarray) -> bytes:
    """What is between all of the places alike, or nothing."""
    first = text[starts[0] : ends[0]]
    if not first or (ends - starts != len(first)).any():
        return b""
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(text, np.uint8), len(first))
    return first if (windows[starts] == windows[starts[0]]).all() else b""


def _kind(column: str) -> str:
    """What adjacent columns have in common that are read together; of those in `_DISTINCT` each is its own."""
    if column not in COLUMNS:
        return "unknown"
    return column if column in _DISTINCT else "floats" if column in FLOATS else "repeated"


def _floats(cells: list[bytes], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns of numbers, of cells that each have those of all `names`. Raises ValueError."""
    try:
        read = pd.read_csv(
            io.BytesIO(b"\n".join([*cells, b""])), header=None, names=list(names), dtype="float64", index_col=False,
            keep_default_na=False, na_values=[""], skip_blank_lines=False, quoting=csv.QUOTE_NONE, lineterminator="\n",
        )  # fmt: skip
    except OverflowError as error:
        raise ValueError from error
    values = read.to_numpy()
    if np.isinf(values).any():
        raise ValueError("infinite")
    return dict(zip(names, values.T, strict=True))


def _repeated(cells: list[bytes], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns in which few texts come again and again, of cells that each have those of all `names`."""
    codes, texts = pd.factorize(np.array(cells, object))
    columns = zip(*(text.decode().split(",") for text in texts), strict=True)
    frame = {}
    for name, column in zip(names, columns, strict=True):
        values = {cell: READ[name](cell.translate(_HIDDEN)) for cell in set(column)}
        frame[name] = np.array([values[cell] for cell in column], TYPES.get(name, object))[codes]
    return frame


def _distinct(cells: list[bytes], names: Sequence[str]) -> dict[str, np.ndarray]:
    """One column of `_DISTINCT`. Raises ValueError."""
    (name,) = names
    if name == "created_at":
        return {name: _times(cells)}
    joined = b"\n".join([*cells, b""]).decode()
    texts = joined.split("\n")[:-1]
    if not _PATTERNS[name].fullmatch(joined):
        if name != "name":
            raise ValueError(name)
        texts = [READ[name](text.translate(_HIDDEN)) for text in texts]
    return {name: np.array(texts, object)}


_READERS = {"floats": _floats, "repeated": _repeated}


def _times(cells: list[bytes]) -> np.ndarray:
    """Times as 2026-01-31T12:00:00Z, (N,) datetime64[s]. Raises ValueError for every other form."""
    form = np.frombuffer(b"0000-00-00T00:00:00Z\n", np.uint8)
    joined = np.frombuffer(b"\n".join([*cells, b""]), np.uint8)
    if len(joined) != len(cells) * len(form):
        raise ValueError("created_at")
    signs = joined.reshape(-1, len(form))
    digits = form == ord("0")
    if (signs[:, ~digits] != form[~digits]).any() or ((signs[:, digits] < 48) | (signs[:, digits] > 57)).any():
        raise ValueError("created_at")
    times: np.ndarray = np.ascontiguousarray(signs[:, :19]).view("S19").ravel().astype("datetime64[s]")
    return times
