"""The board's files: CSV, appended to under a lock, replaced as a whole, read strictly."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from leaderboard.row import COLUMNS, Row, from_cells, from_scorecard, to_cells
from submission import atomic
from submission.errors import CompetitionError, UsageError, shown
from submission.locking import alone
from submission.scorecard import Scorecard

SHIPPED = Path(__file__).parent / "baselines.csv"
LOCAL = Path(__file__).parent / "leaderboard.csv"
LOCK_SECONDS = 60
_BYTES_LIMIT = 64 * 2**20


class BoardError(CompetitionError):
    """A board's file is broken: the file, the line, what is wrong with it. Nothing was changed."""


@dataclass(frozen=True)
class Added:
    """The scorecard is a new row of the board."""

    row: Row


@dataclass(frozen=True)
class AlreadyThere:
    """These bytes, measured in the same way, are on the board already as `row`; nothing was written."""

    row: Row


@dataclass(frozen=True)
class NotAdded:
    """The scorecard is not for ranking, for this `reason`; nothing was written."""

    reason: str


@dataclass(frozen=True)
class Entry:
    """A row and which board it is from: the shipped one, or the local one."""

    row: Row
    shipped: bool


def read(path: str | os.PathLike[str]) -> list[Row]:
    """The rows of the board at `path` in the file's order; none when there is no such file.

    Raises BoardError that names the first broken line: a board is never read in part.
    """
    data = _bytes(Path(path))
    return [] if data is None else _parse(data, path)


def append(
    path: str | os.PathLike[str], card: Scorecard, created_at: datetime | None = None
) -> Added | AlreadyThere | NotAdded:
    """Add a scorecard to the board at `path`, which is made when it is missing.

    Safe with any number of processes at once, and with a kill at any moment: the file is whole, before or after.
    Raises BoardError, leaving the file as it is, when it is broken.
    """
    if not card.ranks:
        return NotAdded("only a part of the prompts was scored, which is for trying out")
    if not card.name.strip():
        raise UsageError("an entry of the board needs a name")
    row = from_scorecard(card, created_at)
    path = Path(path).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with alone(path.with_name(f".{path.name}.lock"), "the board", LOCK_SECONDS, keep=True):
        data = _bytes(path)
        for other in _parse(data, path) if data is not None else ():
            if other.key == row.key:
                return AlreadyThere(other)
        atomic.remove_leftovers(path.parent)
        atomic.write_bytes(path, (data or _line(COLUMNS)) + _line(to_cells(row)))
    return Added(row)


def entries(local: str | os.PathLike[str] = LOCAL, shipped: str | os.PathLike[str] = SHIPPED) -> list[Entry]:
    """The shipped rows, then the local ones."""
    return [Entry(row, True) for row in read(shipped)] + [Entry(row, False) for row in read(local)]


def _bytes(path: Path) -> bytes | None:
    try:
        if path.stat().st_size > _BYTES_LIMIT:
            raise BoardError(f"{shown(str(path))}: larger than {_BYTES_LIMIT >> 20} MiB; that is not a board")
        return path.read_bytes() or None  # an empty file is a board that nobody wrote to yet
    except FileNotFoundError:
        return None


def _parse(data: bytes, path: str | os.PathLike[str]) -> list[Row]:
    def broken(line: int, what: object) -> BoardError:
        return BoardError(f"{shown(str(path))}, line {line}: {shown(str(what), 400)}\n  mend or delete that line")

    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise broken(data.count(b"\n", 0, error.start) + 1, "not UTF-8") from None
    if not text.endswith("\n"):
        raise broken(text.count("\n") + 1, "cut off: there is no line end")
    rows: list[Row] = []
    lines: dict[tuple[str, str], int] = {}
    for number, cells in _records(text, broken):
        if number == 1:
            if tuple(cells) != COLUMNS:
                raise broken(1, "the header is not that of a board of this version")
            continue
        try:
            row = from_cells(cells)
        except ValueError as error:
            raise broken(number, error) from None
        if row.key in lines:
            raise broken(number, f"the same submission and fingerprint as line {lines[row.key]}")
        lines[row.key] = number
        rows.append(row)
    return rows


def _records(text: str, broken: Callable[[int, object], BoardError]) -> Iterator[tuple[int, list[str]]]:
    # Every cell is on one line, so that a line of the file is a row, and a quote left open is found where it is.
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        try:
            records = list(csv.reader([line], strict=True))
        except csv.Error as error:
            raise broken(number, error) from None
        yield number, records[0] if records else []


def _line(cells: Sequence[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue().encode("utf-8")
