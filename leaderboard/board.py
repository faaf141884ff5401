"""The board's files: CSV, appended to under a lock, replaced as a whole, read strictly and by column name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from leaderboard import alike, names, reading
from leaderboard.columns import COLUMNS, plain
from leaderboard.row import Row, frame_of, from_scorecard, newest, rows_of, to_cells
from submission import atomic, paths
from submission.csv_text import csv_line
from submission.errors import CompetitionError, shown
from submission.locking import exclusive
from submission.scorecard import Scorecard

SHIPPED = Path(__file__).parent / "baselines.csv"
LOCAL = paths.board()
LOCK_SECONDS = 60
_BYTES_LIMIT = 512 * 2**20
_MARK = b"\xef\xbb\xbf"  # what spreadsheets put before UTF-8


class BoardError(CompetitionError):
    """A board's file is broken: the file, the line, what is wrong with it. Nothing was changed."""


@dataclass(frozen=True)
class Added:
    """The scorecard is a new row of the board.

    `alike` are the earlier entries under other names with the same images or nearly the same ones; `last` is the newest
    earlier row of the same name that was measured alike.
    """

    row: Row
    alike: tuple[alike.Alike, ...] = ()
    last: Row | None = None


@dataclass(frozen=True)
class AlreadyThere:
    """These bytes, measured alike, are on the board already under this name, as `row`; nothing was written."""

    row: Row


@dataclass(frozen=True)
class NotAdded:
    """The scorecard is not for ranking, for this `reason`; nothing was written."""

    reason: str


@dataclass(frozen=True)
class Content:
    """A board as it lies on the disk: its `columns` and, in `data`, its lines; and what they say."""

    columns: list[str]
    data: bytes
    rows: pd.DataFrame

    @property
    def lines(self) -> bytes:
        """The lines after the header, each ended by a line feed."""
        return self.data.partition(b"\n")[2]


def read(path: str | os.PathLike[str]) -> list[Row]:
    """The rows of the board at `path` in the file's order; none when there is no such file.

    Raises BoardError that names the first broken line: a board is never read in part.
    """
    return rows_of(content(Path(path)).rows)


def append(
    path: str | os.PathLike[str], card: Scorecard, created_at: datetime | None = None
) -> Added | AlreadyThere | NotAdded:
    """Add a scorecard to the board at `path`, which is made when it is missing.

    Safe with any number of processes at once, and with a kill at any moment: the file is whole, before or after.
    Raises BoardError, leaving the file as it is, when it is broken, and UsageError for a name that no entry can have.
    """
    if not card.ranks:
        return NotAdded("only a part of the prompts was scored, which is for trying out")
    names.check(plain(card.name), card.name, ())
    row = from_scorecard(card, created_at)
    with changing(path) as board:
        found = content(board)
        others = found.rows[found.rows["competition"] == row.competition]
        same_name = _under_its_name(row, others)
        if len(already := same_name[same_name["submission_sha256"] == row.submission_sha256]):
            return AlreadyThere(rows_of(already)[0])
        shipped = shipped_rows(board, row.competition)
        names.check(row.name, card.name, others["name"], shipped["name"])
        resembled = list[alike.Alike]()
        # What reproduces a shipped row is that row's mark, not an entry of its own.
        if row.submission_sha256 not in set(_under_its_name(row, shipped)["submission_sha256"]):
            resembled = alike.find(row, pd.concat([shipped, others]) if len(shipped) else others)
        row = alike.noted(row, resembled)
        _write(board, found.columns, found.lines, row)
    last = rows_of(newest(same_name))
    return Added(row, tuple(resembled), last[0] if last else None)


def check(path: str | os.PathLike[str], competition: str, name: str | None = None) -> None:
    """Raises BoardError or UsageError for what `append` would refuse: a broken board, or a `name` that no entry of the
    competition can have."""
    rows = content(Path(path)).rows
    if name is not None:
        local = rows["name"][rows["competition"] == competition]
        names.check(plain(name), name, local, shipped_rows(Path(path).resolve(), competition)["name"])


def entries(local: str | os.PathLike[str] = LOCAL, shipped: str | os.PathLike[str] = SHIPPED) -> pd.DataFrame:
    """The shipped rows, then the local ones: the columns of `leaderboard.row`, and `shipped`."""
    parts = [content(Path(path)).rows.assign(shipped=ours) for path, ours in ((shipped, True), (local, False))]
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def content(path: Path) -> Content:
    """The board at `path`, empty when there is no such file. Raises BoardError."""
    return parse(_bytes(path), path)


def parse(data: bytes, path: Path) -> Content:
    """The board in `data`, which was read from `path`. Raises BoardError."""
    if not data:  # a board that nobody wrote to yet
        return Content(list(COLUMNS), b"", frame_of([]))
    try:
        data = data.removeprefix(_MARK)
        if b"\r" in data:  # a byte is found ten times as fast as two
            data = data.replace(b"\r\n", b"\n")
        if not data.endswith(b"\n"):
            raise reading.BrokenLine(data.count(b"\n") + 1, "cut off: there is no line end")
        columns = reading.header(data[: data.index(b"\n")])
        return Content(columns, data, reading.parse(data, columns))
    except reading.BrokenLine as broken:
        mend = "mend or delete that line"
        if broken.line == 1:
            mend = f"put the header back, which is the first line; that of a new board is\n  {','.join(COLUMNS)}"
        raise BoardError(f"{shown(str(path))}, line {broken.line}: {broken.what}\n  {mend}") from None


@contextlib.contextmanager
def changing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """The board's own file, alone: a link is followed, and nobody else changes what it leads to in the meantime."""
    board = Path(path).resolve()
    board.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(board.with_name(f".{board.name}.lock"), "the board", LOCK_SECONDS, keep=True):
        atomic.remove_leftovers(board.parent)
        yield board


def _write(path: Path, columns: Sequence[str], lines: bytes, row: Row) -> None:
    """Write the board with `row` after its `lines`; columns that it needs and the board lacks come last."""
    new = [name for name, cell in zip(COLUMNS, to_cells(row), strict=True) if name not in columns and cell]
    if new:
        lines = lines.replace(b"\n", b"," * len(new) + b"\n")
        columns = [*columns, *new]
    with atomic.replacing(path) as file:
        file.write(csv_line(columns))
        file.write(lines)
        file.write(csv_line(to_cells(row, columns)))


def _under_its_name(row: Row, rows: pd.DataFrame) -> pd.DataFrame:
    """Those of `rows` that have the row's name and were measured alike."""
    return rows[(rows["name"] == row.name) & (rows["fingerprint"] == row.fingerprint)]


def shipped_rows(board: Path, competition: str) -> pd.DataFrame:
    """The shipped rows of a competition; none for the shipped board itself."""
    rows = content(SHIPPED).rows
    return rows[rows["competition"] == competition] if board != SHIPPED.resolve() else rows[:0]


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _BYTES_LIMIT:
            raise BoardError(f"{shown(str(path))}: larger than {_BYTES_LIMIT >> 20} MiB; that is not a board")
        if path.samefile(os.devnull):
            return b""
        if not (path.is_file() or path.is_dir()):  # a pipe or a device has no end; of a folder the system says it
            raise BoardError(f"{shown(str(path))}: not a regular file; that is not a board")
        return path.read_bytes()
    except FileNotFoundError:
        return b""
