"""A board's lines, read strictly: together where nothing is odd, and one by one where something is.

Lines in the form that drawoff writes are read by pandas and checked column by column, each text that comes again once.
A line in any other form (a number that is not finite, a cell too many) is left to `row.from_cells`, which reads it or
says what is wrong.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from leaderboard.columns import COLUMNS, FLOATS, MEASURED_BY, NEEDED, PATTERNS, READ
from leaderboard.row import TYPES, Row, fingerprint, frame_of, framed, from_cells, measured_by
from submission.errors import shown

# Cells that pandas reads as `row.from_cells` does: of text, which has yet to be checked, and of columns with a form.
_TEXT = r'(?:(?!")[^,]*+|"(?:[^"]|""){0,1000}+")'
_FORMS = {
    **dict.fromkeys(FLOATS, r"(?:[-\d][^,]{0,48}\d|\d)?+"),  # pandas takes more: blanks around it, True, a plus
    **PATTERNS,
    "created_at": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
}
_BLOCK_BYTES = 8 * 2**20  # read at a time: what is made of them stays in a processor's cache, and small
MAX_ROWS = 1_000_000
_MEASURED = ("fingerprint", "competition", "n", *MEASURED_BY)
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
    lines = body.split(b"\n")[:-1]
    cells = (f'(?:{_FORMS[name]}|"{_FORMS[name]}")' if name in _FORMS else _TEXT for name in columns)
    fits = re.compile(",".join(cells).encode()).fullmatch
    numbers = [number for number, line in enumerate(lines) if fits(line)]
    try:
        if b"\r" in body or b"\0" in body:
            raise ValueError("signs that pandas reads otherwise")
        body.decode("utf-8")
        frame = _together([lines[number] for number in numbers], columns)
    except ValueError:  # of a broken line perhaps, and the first one is to be named
        frame, numbers = frame_of([]), []
    if not (left := sorted({*range(len(lines))} - {*numbers})):
        return frame
    rest = frame_of(_strictly(((first + number, lines[number]) for number in left), columns))
    return pd.concat([frame, rest]).iloc[np.argsort(numbers + left)]


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


def _together(lines: Sequence[bytes], columns: Sequence[str]) -> pd.DataFrame:
    """The rows in lines of UTF-8 that fit the forms of the columns. Raises ValueError where any is broken."""
    known = [column for column in columns if column in COLUMNS]
    read = pd.read_csv(
        io.BytesIO(b"\n".join(lines)), header=None, names=list(columns), usecols=known, lineterminator="\n",
        dtype=dict.fromkeys(known, object) | dict.fromkeys(FLOATS, float),
        keep_default_na=False, na_values=dict.fromkeys(FLOATS, ""), skip_blank_lines=False,
    )  # fmt: skip
    arrays = {"nan": np.full(len(read), "", object)}
    for name in COLUMNS:
        if name not in known:
            arrays[name] = np.full(len(read), READ[name](""), TYPES.get(name, object))
        elif name == "created_at":
            arrays[name] = pd.to_datetime(read[name], format="ISO8601").to_numpy("datetime64[s]")
        elif name in _FORMS:
            arrays[name] = read[name].to_numpy()
        else:
            codes, cells = pd.factorize(read[name])
            arrays[name] = np.array([READ[name](cell) for cell in cells], TYPES.get(name, object))[codes]
    del arrays["schema"]
    if (arrays["tiers_passed"] > arrays["tiers"]).any() or np.isinf([arrays[name] for name in FLOATS]).any():
        raise ValueError("more tiers passed than there are, or a number too large")
    for fields in set(zip(*(arrays[key].tolist() for key in _MEASURED), strict=True)):
        values = dict(zip(_MEASURED, fields, strict=True))
        if fingerprint(values["competition"], values["n"], measured_by(values)) != values["fingerprint"]:
            raise ValueError("fingerprint")
    return framed(arrays)
