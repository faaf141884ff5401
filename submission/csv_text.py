"""Tables as text: CSV, TSV and what spreadsheets make of them, read strictly into a header and rows.

Spreadsheets differ in the delimiter (a semicolon where the comma is the decimal sign), write a line `sep=;` or a byte
order mark before the header, end with rows of empty cells, and Excel's "Unicode text" is UTF-16. None of that changes
what the table says. Bytes that are not Unicode may say several things: those are refused with the likely reading.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from submission.errors import Problem, shown

_DELIMITERS = (",", ";", "\t", "|")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# A spreadsheet runs a cell that begins with one of these as a formula (OWASP, "CSV Injection").
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Table:
    """`header`: the columns in lower case, blanks and hyphens as "_". `rows`: line numbers, each with as many cells."""

    header: tuple[str, ...]
    rows: tuple[tuple[int, list[str]], ...]


def decoded(data: bytes, problems: list[Problem]) -> str | None:
    """The text of `data`: UTF-8, or UTF-16 that says so with its byte order mark. None, and a problem, otherwise."""
    try:
        text = data.decode("utf-16" if data.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        problems.append(Problem(f"line {number}", "is not UTF-8", _question(data, number)))
        return None
    if "\0" not in text:
        return text
    what = "holds zero bytes, as UTF-16 without its byte order mark does"
    problems.append(Problem("", what, "save the file as UTF-8"))
    return None


def _question(data: bytes, number: int) -> str:
    """What the line `number` would say in the encoding that table programs of Western Windows use."""
    save = 'save the file as UTF-8: "CSV UTF-8" in Excel, or iconv -f WINDOWS-1252 -t UTF-8'
    try:
        line = re.split(rb"\r\n|\n|\r", data)[number - 1].decode("cp1252")
    except (UnicodeDecodeError, IndexError):
        return "save the file as UTF-8"
    return f"is it Windows-1252 (cp1252)? Then this line reads {shown(line.strip(), 80)!r}: if that is right, {save}"


def read_table(
    data: bytes, understood: Callable[[Sequence[str]], bool], problems: list[Problem], *, has_header: bool = True
) -> Table | None:
    """The table in `data`, its delimiter the first with which the header is `understood`. None when it is not text.

    Rows without any content are left out, empty cells beyond the header too; other rows that are not as long as the
    header become problems. `has_header=False`: the first row decides the number of cells and is a row like the others.
    """
    text = decoded(data, problems)
    if text is None:
        return None
    marked = re.match(r'"?sep=(.)"?[^\S\r\n]*(?:\r\n|\n|\r)', text, re.IGNORECASE)  # Excel's own line
    candidates = (marked[1],) if marked else _DELIMITERS
    body, skipped = (text[marked.end() :], 1) if marked else (text, 0)
    headers = {delimiter: _first_row(body, delimiter) for delimiter in candidates}
    known = [delimiter for delimiter, header in headers.items() if understood(header)]
    delimiter = known[0] if known else max(candidates, key=lambda candidate: len(headers[candidate]))
    header = headers[delimiter]
    rows = []
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    filled = (cells for row in reader if any(cells := [cell.strip() for cell in row]))
    try:
        if has_header:
            next(filled, None)
        for cells in filled:
            while len(cells) > len(header) and not cells[-1]:
                cells.pop()
            line = reader.line_num + skipped
            if len(cells) != len(header):
                hint = 'put a text with the delimiter in it between quotes ("…")' if len(cells) > len(header) else ""
                problems.append(Problem(f"line {line}", f"has {len(cells)} cells, the header has {len(header)}", hint))
            else:
                rows.append((line, cells))
    except csv.Error as error:
        hint = 'a quote inside quotes is written twice: "a ""red"" cat"'
        problems.append(Problem(f"line {reader.line_num + skipped}", f"is not CSV: {error}", hint))
    return Table(tuple(header), tuple(rows))


def _first_row(text: str, delimiter: str) -> list[str]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        row = next((row for row in reader if any(cell.strip() for cell in row)), [])
    except csv.Error:
        return []
    cells = [re.sub(r"[\s-]+", "_", cell.strip().lower()) for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def find_column(found: Sequence[str], documented: str, others: Sequence[str]) -> tuple[str | None, str]:
    """Which of the names `found` is the column `documented`, or goes by one of its `others`; or None and why not."""
    candidates = [name for name in found if name == documented] or [name for name in found if name in others]
    if len(candidates) == 1:
        return candidates[0], ""
    if documented in candidates:
        return None, f"has more than one column {documented!r}"
    several = f", and several that could be it: {', '.join(candidates)}" if candidates else ""
    return None, f"has no column {documented!r}{several}"


def csv_line(cells: Iterable[object]) -> bytes:
    """The cells as a line of a CSV, UTF-8, ended by a line feed; None is an empty cell."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)  # cells with either sign are quoted
    return f"{buffer.getvalue()[:-2]}\n".encode()


def as_cell(text: str) -> str:
    """`text` as a cell of a CSV that no spreadsheet runs: a quote sign before what would be a formula."""
    return f"'{text}" if text.startswith((*FORMULA, "'")) else text


def from_cell(cell: str) -> str:
    """The text that `as_cell` was given."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith((*FORMULA, "'")) else cell
