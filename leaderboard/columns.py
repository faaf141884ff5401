"""The columns of a board: their names, and how a cell of each is read. What a new metric adds comes from its row."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from submission.csv_text import FORMULA
from submission.metrics import METRICS
from submission.scorecard import TIME_FORMAT

SCHEMA = 1

NUMBERS = tuple(column for name in METRICS for column in (name, f"{name}_low", f"{name}_high"))
# The fingerprint's fields; `competition` and `n` belong to it and are columns of their own already.
MEASURED_BY = (
    "protocol",
    "inception",
    "inception_sha256",
    "clip",
    "clip_sha256",
    "references_sha256",
    "statistics_sha256",
    "prompts_sha256",
)
COUNTS = ("n", "tiers_passed", "tiers")
FLOATS = (*NUMBERS, "mark")
# Without these a row is nobody's; every other column may be missing, as in the board of another version.
NEEDED = ("name", "competition", "n", "submission_sha256", "fingerprint", "created_at")
STATUSES = ("ok", "suspect", "invalid")

_NUMBER = re.compile(r"-?(\d{1,20}(\.\d{0,25})?([eE][+-]?\d{1,3})?|inf)|nan")
_COUNT = re.compile(r"\d{1,18}")
# What the cells of these columns are, whole.
PATTERNS = {
    "submission_sha256": r"[0-9a-f]{64}",
    "alike": r"(?:[0-9a-f]{64}(?: [0-9a-f]{64})*)?",
    "look": r"(?:[a-z][A-Za-z0-9+/]{0,1000})?",  # a letter for what made it, then base64
}
_TEXT_LIMIT = 200
BROKEN_LIMIT = 600


def plain(text: str, limit: int = _TEXT_LIMIT) -> str:
    """`text` on one line: runs of blanks, control, bidirectional and invisible characters become one space."""
    text = text[: 4 * limit]
    if not text.isprintable():  # which it is when there is nothing to replace
        text = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    return " ".join(text.split())[:limit].rstrip()


def _schema(cell: str) -> int:
    if cell not in (str(SCHEMA), ""):
        raise ValueError(f"schema is {cell[:40]!r}; this version of drawoff reads {SCHEMA}")
    return SCHEMA


def _text(column: str, cell: str, needed: bool = False, limit: int = _TEXT_LIMIT) -> str:
    """Text without what a spreadsheet runs or a terminal acts on."""
    if cell.startswith(FORMULA):
        raise ValueError(f"{column} begins with {cell[0]!r}, which a spreadsheet runs; put a ' before it")
    text = cell.removeprefix("'")
    if text != plain(text, limit):
        raise ValueError(f"{column} has control characters or stray blanks, or is longer than {limit}")
    if needed and not text:
        raise ValueError(f"{column} is empty")
    return text


def _count(column: str, cell: str) -> int:
    """A whole number from 0."""
    if not _COUNT.fullmatch(cell):
        raise ValueError(f"{column} is {cell[:40]!r}, not a whole number")
    return int(cell)


def _count_or(default: int | None, column: str, cell: str) -> int | None:
    return _count(column, cell) if cell else default


def _number(column: str, cell: str) -> float | None:
    if not cell:
        return None
    if not _NUMBER.fullmatch(cell):
        raise ValueError(f"{column} is {cell[:40]!r}, not a number")
    return float(cell)


def _of_its_form(column: str, form: str, cell: str) -> str:
    if not re.fullmatch(PATTERNS[column], cell):
        raise ValueError(f"{column} is not {form}")
    return cell


def _time(cell: str) -> datetime:
    try:
        return datetime.strptime(cell, TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"created_at is {cell[:40]!r}, not a time as 2026-01-31T12:00:00Z") from None


def _status(cell: str) -> str:
    """A row without one is "ok"."""
    if cell not in (*STATUSES, ""):
        raise ValueError(f"status is {cell[:40]!r}, not one of {', '.join(map(repr, STATUSES))}")
    return cell or "ok"


# The columns in their order, and how a cell of each is read: its value, or ValueError that says what is wrong with it.
READ: dict[str, Callable[[str], Any]] = {
    "schema": _schema,
    "name": partial(_text, "name", needed=True),
    "competition": partial(_text, "competition", needed=True),
    "model": partial(_text, "model"),
    "seed": partial(_count_or, None, "seed"),
    "n": partial(_count, "n"),
    **{column: partial(_number, column) for column in NUMBERS},
    "tiers_passed": partial(_count_or, 0, "tiers_passed"),
    "tiers": partial(_count_or, 0, "tiers"),
    "submission_sha256": partial(_of_its_form, "submission_sha256", "64 hexadecimal digits"),
    "fingerprint": str,
    "protocol": partial(_count_or, None, "protocol"),
    **{column: partial(_text, column) for column in MEASURED_BY if column != "protocol"},
    "created_at": _time,
    "status": _status,
    "mark": partial(_number, "mark"),
    "broken": partial(_text, "broken", limit=BROKEN_LIMIT),
    "look": partial(_of_its_form, "look", "a letter and base64"),
    "alike": partial(_of_its_form, "alike", "64 hexadecimal digits"),
    "families": partial(_count_or, None, "families"),
}
COLUMNS = tuple(READ)
