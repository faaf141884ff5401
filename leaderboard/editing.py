"""Entries renamed and removed: the board changes, and its history keeps every line as it was.

The history of `board.csv` is `board.history.csv` beside it: when and what was changed, then the board's own columns. It
is written first, so that a kill in between loses nothing; the same command again ends the same.
"""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import numpy as np

from leaderboard import names
from leaderboard.board import BoardError, Content, changing, content, shipped_rows
from leaderboard.columns import plain
from submission import atomic
from submission.csv_text import as_cell, csv_line
from submission.errors import UsageError, shown, some
from submission.scorecard import TIME_FORMAT

_CHANGE = ("changed_at", "change")


def rename(path: Path, old: str, new: str, competition: str | None = None) -> int:
    """Give the entries called `old` the name `new`; how many there were.

    Raises UsageError when there are none, or when `new` cannot be their name.
    """
    with changing(path) as board:
        found = content(board)
        lines = _lines_of(found, old, competition, board)
        rows = found.rows
        others = rows.drop(index=rows.index[lines])
        shipped = [shipped_rows(board, name)["name"] for name in rows["competition"].iloc[lines].unique()]
        names.check(plain(new), new, others["name"], chain(*shipped))
        key = ["submission_sha256", "fingerprint"]
        if len(rows[key].iloc[lines].merge(others[key][others["name"] == plain(new)])):
            raise UsageError(
                f"{shown(new)!r} has an entry with the images of {shown(old)!r} already: remove one of the two"
            )
        cells = _cells(found)
        _remember(board, found, [cells[line] for line in lines], f"renamed to {plain(new)}")
        place = found.columns.index("name")
        for line in lines:
            cells[line][place] = as_cell(plain(new))
        _replace(board, found, {line: csv_line(cells[line]) for line in lines})
    return len(lines)


def remove(path: Path, name: str, competition: str | None = None, submission: str | None = None) -> int:
    """Take the entries called `name` off the board, or those of them whose submission's hash begins with `submission`;
    how many there were. Raises UsageError when there are none."""
    with changing(path) as board:
        found = content(board)
        lines = _lines_of(found, name, competition, board, submission or "")
        cells = _cells(found)
        _remember(board, found, [cells[line] for line in lines], "removed")
        _replace(board, found, dict.fromkeys(lines, b""))
    return len(lines)


def history_path(board: Path) -> Path:
    """Where the lines of a board are kept that were changed."""
    board = board.resolve()
    return board.with_name(f"{board.stem}.history.csv")


def _lines_of(found: Content, name: str, competition: str | None, board: Path, submission: str = "") -> list[int]:
    rows = found.rows
    chosen = rows["name"] == name
    if competition is not None:
        chosen &= rows["competition"] == competition
    if len(rows):
        chosen &= rows["submission_sha256"].str.startswith(submission)
    if chosen.any():
        return np.flatnonzero(chosen.to_numpy()).tolist()
    near = difflib.get_close_matches(name, sorted(set(rows["name"]))[:10_000])
    hint = f"; there is {some(near)}" if near else ""
    raise UsageError(f"{shown(str(board))} has no such entry called {shown(name)!r}{hint}")


def _cells(found: Content) -> list[list[str]]:
    return list(csv.reader(found.lines.decode("utf-8").removesuffix("\n").split("\n"), strict=True))


def _replace(board: Path, found: Content, changed: dict[int, bytes]) -> None:
    lines = [line + b"\n" for line in found.lines.split(b"\n")[:-1]]
    with atomic.replacing(board) as file:
        file.write(csv_line(found.columns))
        file.writelines(changed.get(number, line) for number, line in enumerate(lines))


def _remember(board: Path, found: Content, rows: Sequence[Sequence[str]], change: str) -> None:
    """Add the lines `rows` of the board as they are to its history, less those that a killed run added before."""
    path = history_path(board)
    columns, kept = _history(path)
    columns += [column for column in (*_CHANGE, *found.columns) if column not in columns]
    known = {frozenset(item for item in line.items() if item[0] != "changed_at") for line in kept}
    now = datetime.now(UTC).strftime(TIME_FORMAT)
    for cells in rows:
        line = {**dict(zip(found.columns, cells, strict=True)), "change": as_cell(change)}
        if frozenset((key, value) for key, value in line.items() if value and key != "changed_at") not in known:
            kept.append({**line, "changed_at": now})
    with atomic.replacing(path) as file:
        file.write(csv_line(columns))
        file.writelines(csv_line([line.get(column, "") for column in columns]) for line in kept)


def _history(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The columns and the lines of a history; of each line the cells that are not empty. Raises BoardError."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return [], []
    except UnicodeDecodeError:
        raise BoardError(f"{shown(str(path))}: is not UTF-8; move it away, and a new history begins") from None
    try:
        columns, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        if columns[:2] != list(_CHANGE):
            raise ValueError("its first line is not that of a history")
        found = [dict(zip(columns, cells, strict=True)) for cells in lines]
    except (csv.Error, ValueError) as error:
        raise BoardError(f"{shown(str(path))}: {shown(str(error))}; move it away, and a new history begins") from None
    return columns, [{key: value for key, value in line.items() if value} for line in found]
