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

from submission.metrics import METRICS
from submission.scorecard import Score, Scorecard

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
    "mark",
    "broken",
    "look",
    "alike",
    "families",
)
# Without these a row is nobody's; every other column may be missing, as in the board of another version.
NEEDED = ("name", "competition", "n", "submission_sha256", "fingerprint", "created_at")
STATUSES = ("ok", "suspect", "invalid")

# A spreadsheet runs a cell that begins with one of these as a formula (OWASP, "CSV Injection").
FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"-?(\d{1,20}(\.\d{0,25})?([eE][+-]?\d{1,3})?|inf)|nan")
_COUNT = re.compile(r"\d{1,18}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LOOK = re.compile(r"([a-z][A-Za-z0-9+/]{0,1000})?")  # a letter for what made it, then base64
_TEXT_LIMIT = 200
_BROKEN_LIMIT = 600


@dataclass(frozen=True)
class Row:
    """A line of the board.

    `numbers` maps each column of `NUMBERS` to its value: None where there is none, NaN or infinite only in a file that
    something else wrote. `measured_by` is the fingerprint without `competition` and `n`. `tiers` is how many tiers
    there were when it was scored, `created_at` is UTC, `status` is "ok", "suspect" (it breaks
    a rule of the competition) or "invalid". `mark` is in percent, None where the competition gives none; `broken` says
    which rules a suspect broke; `look` is the submission's (`submission.similarity_digest`), "" where it is not known;
    `alike` is the `submission_sha256` of an earlier entry under another name that looks the same, "" where there is
    none; `families` is how many families of prompts the intervals draw anew, None in a row of a version whose intervals
    drew single images, and so are too narrow.
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
    mark: float | None = None
    broken: str = ""
    look: str = ""
    alike: str = ""
    families: int | None = None

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits of the sha256 over everything that decides whether two rows may be compared."""
        return fingerprint(self.competition, self.n, self.measured_by)

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two rows the same entry: the name, the submission's bytes and what measured them."""
        return self.name, self.submission_sha256, self.fingerprint

    def score(self, metric: str) -> Score:
        """The metric as a Score; a value that is not finite is one that is missing."""
        value, low, high = (finite(self.numbers[column]) for column in (metric, f"{metric}_low", f"{metric}_high"))
        return Score(value, low, high, None if value is not None else "not on the board")


def fingerprint(competition: str, n: int, measured_by: Mapping[str, str | int]) -> str:
    """Twelve hex digits of the sha256 over everything that decides whether two rows may be compared."""
    fields = {**measured_by, "competition": competition, "n": n}
    return hashlib.sha256(json.dumps(fields, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:12]


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
        mark=(0.0 if card.suspect else card.mark.value) if card.mark is not None else None,
        broken=_broken(card),
        look=card.look or "",
        families=card.families,
    )
    for metric, score in card.scores.items():
        row.numbers.update({metric: score.value, f"{metric}_low": score.low, f"{metric}_high": score.high})
    from_cells(to_cells(row))  # whatever is written can be read again
    return row


def plain(text: str, limit: int = _TEXT_LIMIT) -> str:
    """`text` on one line: runs of blanks, control, bidirectional and invisible characters become one space."""
    text = text[: 4 * limit]
    if not text.isprintable():  # which it is when there is nothing to replace
        text = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    return " ".join(text.split())[:limit].rstrip()


def _broken(card: Scorecard) -> str:
    if card.suspicions is None:
        return ""
    return plain("; ".join(f"{check.rule}: {check.reason}" for check in card.suspicions.broken), _BROKEN_LIMIT)


def to_cells(row: Row, columns: Sequence[str] = COLUMNS) -> list[str]:
    """The row as CSV cells in the order of `columns`, "" in those that it has nothing for; numbers keep every digit."""
    cells = {
        "schema": SCHEMA,
        "name": guard(row.name),
        "competition": guard(row.competition),
        "model": guard(row.model),
        "seed": row.seed,
        "n": row.n,
        **row.numbers,
        "tiers_passed": row.tiers_passed,
        "tiers": row.tiers,
        "submission_sha256": row.submission_sha256,
        "fingerprint": row.fingerprint,
        **{key: guard(str(value)) for key, value in row.measured_by.items()},
        "created_at": row.created_at.strftime(TIME_FORMAT),
        "status": row.status,
        "mark": row.mark,
        "broken": guard(row.broken),
        "look": row.look,
        "alike": row.alike,
        "families": row.families,
    }
    return ["" if cells.get(column) is None else str(cells[column]) for column in columns]


def from_cells(values: Sequence[str], columns: Sequence[str] = COLUMNS) -> Row:
    """The row in the cells of one line, which are those of `columns`; unknown columns are not looked at.

    Raises ValueError that says which column is wrong, and how.
    """
    if len(values) != len(columns):
        raise ValueError(f"has {len(values)} columns, not {len(columns)}")
    cells = dict.fromkeys(COLUMNS, "") | dict(zip(columns, values, strict=True))
    row = Row(
        name=text_cell(cells, "name", needed=True),
        competition=text_cell(cells, "competition", needed=True),
        model=text_cell(cells, "model"),
        seed=count_cell(cells, "seed") if cells["seed"] else None,
        n=count_cell(cells, "n"),
        numbers={column: _number(cells, column) for column in NUMBERS},
        tiers_passed=count_cell(cells, "tiers_passed") if cells["tiers_passed"] else 0,
        tiers=count_cell(cells, "tiers") if cells["tiers"] else 0,
        submission_sha256=cells["submission_sha256"],
        measured_by=measured_by_cells(cells),
        created_at=_time(cells),
        status=status_cell(cells),
        mark=_number(cells, "mark"),
        broken=text_cell(cells, "broken", limit=_BROKEN_LIMIT),
        look=look_cell(cells),
        alike=cells["alike"],
        families=count_cell(cells, "families") if cells["families"] else None,
    )
    schema_cell(cells)
    if row.tiers_passed > row.tiers:
        raise ValueError(f"tiers_passed is {row.tiers_passed} of {row.tiers}")
    for column in ("submission_sha256", "alike"):
        if not _SHA256.fullmatch(cells[column]) and (column == "submission_sha256" or cells[column]):
            raise ValueError(f"{column} is not 64 hexadecimal digits")
    if cells["fingerprint"] != row.fingerprint:
        raise ValueError(f"fingerprint is {cells['fingerprint']!r}, but the line's own fields make {row.fingerprint!r}")
    return row


def measured_by_cells(cells: Mapping[str, str]) -> dict[str, str | int]:
    """The fingerprint without `competition` and `n`. Raises ValueError, as the next ones do."""
    fields: dict[str, str | int] = {key: text_cell(cells, key) for key in MEASURED_BY if cells[key]}
    return {**fields, **({"protocol": count_cell(cells, "protocol")} if cells["protocol"] else {})}


def schema_cell(cells: Mapping[str, str]) -> None:
    """Checks that this version can read the row."""
    if cells["schema"] not in (str(SCHEMA), ""):
        raise ValueError(f"schema is {cells['schema'][:40]!r}; this version of drawoff reads {SCHEMA}")


def status_cell(cells: Mapping[str, str]) -> str:
    """The status; a row without one is "ok"."""
    if cells["status"] not in (*STATUSES, ""):
        raise ValueError(f"status is {cells['status'][:40]!r}, not one of {', '.join(map(repr, STATUSES))}")
    return cells["status"] or "ok"


def look_cell(cells: Mapping[str, str]) -> str:
    """The look of the submission, or nothing."""
    if not _LOOK.fullmatch(cells["look"]):
        raise ValueError("look is not a letter and base64")
    return cells["look"]


def guard(text: str) -> str:
    """A cell with this text, which no spreadsheet runs."""
    return f"'{text}" if text.startswith((*FORMULA, "'")) else text


def text_cell(cells: Mapping[str, str], column: str, needed: bool = False, limit: int = _TEXT_LIMIT) -> str:
    """Text without what a spreadsheet runs or a terminal acts on."""
    cell = cells[column]
    if cell.startswith(FORMULA):
        raise ValueError(f"{column} begins with {cell[0]!r}, which a spreadsheet runs; put a ' before it")
    text = cell.removeprefix("'")
    if text != plain(text, limit):
        raise ValueError(f"{column} has control characters or stray blanks, or is longer than {limit}")
    if needed and not text:
        raise ValueError(f"{column} is empty")
    return text


def count_cell(cells: Mapping[str, str], column: str) -> int:
    """A whole number from 0."""
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
