"""One row of the board: a scored submission with what measured it, to and from the cells of a CSV line."""

from __future__ import annotations

import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from submission.scorecard import METRICS, Score, Scorecard

SCHEMA = 1
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

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
COLUMNS = (
    "schema",
    "name",
    "competition",
    "model",
    "seed",
    "n",
    *NUMBERS,
    "tiers_passed",
    "tiers",
    "submission_sha256",
    "fingerprint",
    *MEASURED_BY,
    "created_at",
    "status",
)

# A spreadsheet runs a cell that begins with one of these as a formula (OWASP, "CSV Injection").
FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"-?(\d{1,20}(\.\d{1,25})?(e[+-]?\d{1,3})?|inf)|nan")
_COUNT = re.compile(r"\d{1,18}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TEXT_LIMIT = 200


@dataclass(frozen=True)
class Row:
    """A line of the board.

    `numbers` maps each column of `NUMBERS` to its value: None where there is none, NaN or infinite only in a file that
    something else wrote. `measured_by` is the fingerprint without `competition` and `n`. `tiers` is how many tiers
    there were when it was scored, `created_at` is UTC, `status` is "ok", "suspect" (it breaks
    a rule of the competition) or "invalid".
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

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits of the sha256 over everything that decides whether two rows may be compared."""
        fields = {**self.measured_by, "competition": self.competition, "n": self.n}
        return hashlib.sha256(json.dumps(fields, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:12]

    @property
    def key(self) -> tuple[str, str]:
        """What makes two rows the same result: the submission's bytes and what measured them."""
        return self.submission_sha256, self.fingerprint

    def score(self, metric: str) -> Score:
        """The metric as a Score; a value that is not finite is one that is missing."""
        value, low, high = (finite(self.numbers[column]) for column in (metric, f"{metric}_low", f"{metric}_high"))
        return Score(value, low, high, None if value is not None else "not on the board")


def finite(value: float | None) -> float | None:
    """`value`, or None when it is not finite."""
    return value if value is not None and math.isfinite(value) else None


def from_scorecard(card: Scorecard, created_at: datetime | None = None) -> Row:
    """The row of a scorecard, made now (UTC) unless `created_at` says when.

    Raises ValueError when the scorecard cannot be a row: no name, no proper hash, a fingerprint field the board has no
    column for.
    """
    fingerprint = {key: value for key, value in card.fingerprint.items() if value is not None}
    measured_by = {key: value for key, value in fingerprint.items() if key not in ("competition", "n")}
    if unknown := sorted(measured_by.keys() - set(MEASURED_BY)):
        raise ValueError(f"the board has no column for the fingerprint's {', '.join(unknown)}")
    manifest: Mapping[str, object] = card.manifest or {}
    seed = manifest.get("seed")
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
    )
    for metric, score in card.scores.items():
        row.numbers.update({metric: score.value, f"{metric}_low": score.low, f"{metric}_high": score.high})
    from_cells(to_cells(row))  # whatever is written can be read again
    return row


def plain(text: str) -> str:
    """`text` on one line: runs of blanks, control, bidirectional and invisible characters become one space."""
    visible = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text[: 4 * _TEXT_LIMIT])
    return " ".join(visible.split())[:_TEXT_LIMIT].rstrip()


def to_cells(row: Row) -> list[str]:
    """The row as CSV cells in the order of `COLUMNS`; numbers keep every digit."""
    cells = {
        "schema": SCHEMA,
        "name": _guard(row.name),
        "competition": _guard(row.competition),
        "model": _guard(row.model),
        "seed": row.seed,
        "n": row.n,
        **row.numbers,
        "tiers_passed": row.tiers_passed,
        "tiers": row.tiers,
        "submission_sha256": row.submission_sha256,
        "fingerprint": row.fingerprint,
        **{key: _guard(str(value)) for key, value in row.measured_by.items()},
        "created_at": row.created_at.strftime(TIME_FORMAT),
        "status": row.status,
    }
    return ["" if cells.get(column) is None else str(cells[column]) for column in COLUMNS]


def from_cells(values: Sequence[str]) -> Row:
    """The row in the cells of one line. Raises ValueError that says which column is wrong, and how."""
    if len(values) != len(COLUMNS):
        raise ValueError(f"has {len(values)} columns, not {len(COLUMNS)}")
    cells = dict(zip(COLUMNS, values, strict=True))
    if cells["schema"] != str(SCHEMA):
        raise ValueError(f"schema is {cells['schema']!r}; this version of drawoff reads {SCHEMA}")
    fields = {key: _text(cells, key) for key in MEASURED_BY if cells[key]}
    row = Row(
        name=_text(cells, "name", needed=True),
        competition=_text(cells, "competition", needed=True),
        model=_text(cells, "model"),
        seed=_count(cells, "seed") if cells["seed"] else None,
        n=_count(cells, "n"),
        numbers={column: _number(cells, column) for column in NUMBERS},
        tiers_passed=_count(cells, "tiers_passed"),
        tiers=_count(cells, "tiers"),
        submission_sha256=cells["submission_sha256"],
        measured_by={**fields, **({"protocol": _count(cells, "protocol")} if cells["protocol"] else {})},
        created_at=_time(cells),
        status=cells["status"],
    )
    if row.tiers_passed > row.tiers:
        raise ValueError(f"tiers_passed is {row.tiers_passed} of {row.tiers}")
    if not _SHA256.fullmatch(row.submission_sha256):
        raise ValueError("submission_sha256 is not 64 hexadecimal digits")
    if row.status not in ("ok", "suspect", "invalid"):
        raise ValueError(f"status is {row.status!r}, not one of 'ok', 'suspect', 'invalid'")
    if cells["fingerprint"] != row.fingerprint:
        raise ValueError(f"fingerprint is {cells['fingerprint']!r}, but the line's own fields make {row.fingerprint!r}")
    return row


def _guard(text: str) -> str:
    return f"'{text}" if text.startswith((*FORMULA, "'")) else text


def _text(cells: Mapping[str, str], column: str, needed: bool = False) -> str:
    cell = cells[column]
    if cell.startswith(FORMULA):
        raise ValueError(f"{column} begins with {cell[0]!r}, which a spreadsheet runs; put a ' before it")
    text = cell.removeprefix("'")
    if text != plain(text):
        raise ValueError(f"{column} has control characters or stray blanks, or is longer than {_TEXT_LIMIT}")
    if needed and not text:
        raise ValueError(f"{column} is empty")
    return text


def _count(cells: Mapping[str, str], column: str) -> int:
    if not _COUNT.fullmatch(cells[column]):
        raise ValueError(f"{column} is {cells[column][:40]!r}, not a whole number")
    return int(cells[column])


def _number(cells: Mapping[str, str], column: str) -> float | None:
    if not cells[column]:
        return None
    if not _NUMBER.fullmatch(cells[column]):
        raise ValueError(f"{column} is {cells[column][:40]!r}, not a number")
    return float(cells[column])


def _time(cells: Mapping[str, str]) -> datetime:
    try:
        return datetime.strptime(cells["created_at"], TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"created_at is {cells['created_at'][:40]!r}, not a time as 2026-01-31T12:00:00Z") from None
