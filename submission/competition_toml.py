"""The strict reading of competition.toml: its tables, and every problem at once.

TOML of foreign origin: Python's parser takes quadratic time for long dotted keys, and leaves by other exceptions.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError

from submission.errors import CompetitionError, Problem
from submission.families import problems_of_group
from submission.judging import Line, Table, TierTable, problems_of_marks, problems_of_tiers
from submission.rules import Rules
from submission.safe_read import read_regular
from submission.statistics import problem_of_names

MAX_BYTES = 2**18
MAX_KEY_PARTS = 32
_PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*"""
_LONG_KEY = re.compile(rf"""(?<![\w"'.-]){_PART}(?:\.[ \t]*{_PART}){{{MAX_KEY_PARTS}}}""", re.ASCII)

_FILES = ("prompts", "references", "statistics", "attributes", "training_hashes")
_Sentence = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]


class _CompetitionTable(Table):
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    title: Line | None = None
    prompts: Line
    references: Line | None = None
    statistics: Line | Annotated[list[Line], Field(min_length=1, max_length=2)] | None = None
    attributes: Line | None = None
    training_hashes: Line | None = None
    image_size: Annotated[int, Field(ge=8, le=4096)] | None = None
    group: Line | None = None
    gate: Line | None = None
    data_help: _Sentence | None = None

    @property
    def files(self) -> dict[str, Any]:
        """What the table names of files, by its key; the statistics' files are a list."""
        files = {key: getattr(self, key) for key in _FILES}
        if isinstance(files["statistics"], str):
            files["statistics"] = [files["statistics"]]
        return files


class Backbones(Table):
    """The protocol of the measurement: which Inception, which CLIP, and CLIP's weights (an open_clip tag or a file)."""

    inception: Literal["clean", "legacy_pytorch", "legacy_tensorflow", "torchvision", "bestiary"] = "clean"
    clip: Line = "ViT-B-32-quickgelu"
    clip_weights: Line | None = None


class CompetitionToml(Table):
    competition: _CompetitionTable
    backbones: Backbones = Backbones(clip_weights="openai")
    tiers: list[TierTable] = Field(default_factory=list)
    marks: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(default_factory=dict)
    rules: Rules = Field(default_factory=Rules)
    baselines: dict[str, dict[str, Any]] = Field(default_factory=dict)


def read_competition_toml(file: Path) -> CompetitionToml:
    """The tables in `file`. Raises CompetitionError with every problem."""
    try:
        parsed = CompetitionToml.model_validate(parse(read_regular(file, MAX_BYTES, follow=True)))
    except ValidationError as error:
        raise CompetitionError(f"{file}: is not valid", [_problem(entry) for entry in error.errors()]) from None
    except ValueError as error:
        raise CompetitionError(f"{file}: {error}") from None
    table = parsed.competition
    problems = [*problems_of_tiers(parsed.tiers, table.gate), *problems_of_marks(parsed.tiers, parsed.marks)]
    problems += [*parsed.rules.problems(table.training_hashes), *problems_of_group(table.group)]
    statistics = table.files["statistics"]
    if statistics is not None and (problem := problem_of_names(statistics)):
        problems.append(Problem("competition.statistics", problem))
    if problems:
        raise CompetitionError(f"{file}: is not valid", problems)
    return parsed


def parse(data: bytes) -> dict[str, Any]:
    """The table in `data`. Raises ValueError whose message is the end of a sentence."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"is larger than {MAX_BYTES:,} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 (byte {error.start})") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") >= MAX_KEY_PARTS and _LONG_KEY.search(line):
            raise ValueError(f"has a key of more than {MAX_KEY_PARTS} parts (line {number})")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"is not TOML: {error}") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:  # a number of more than 4300 digits, a day that no month has
        raise ValueError(f"is not TOML that can be read: {error}") from None


def _problem(entry: Any) -> Problem:
    key = ".".join(str(part) for part in entry["loc"])
    if entry["type"] == "extra_forbidden":
        return Problem(key, "is not a key of competition.toml", "check its spelling and its table")
    if entry["type"] == "missing":
        return Problem(key, "is missing")
    return Problem(key, f"{entry['msg']}, found {entry['input']!r}")
