"""Prompt lists: the course's `test.json` and CSV files with `id,prompt`, read strictly.

A wrong prompt list spoils every score that is measured with it, so nothing is guessed and nothing is skipped: all
problems are reported at once, each with its entry.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from submission import strict_json
from submission.errors import CompetitionError, Problem
from submission.names import clash_key, why_unsafe
from submission.safe_read import NotReadable, read_regular

MAX_FILE_BYTES = 64 * 2**20
MAX_PROMPT_CHARACTERS = 10_000


@dataclass(frozen=True)
class Prompt:
    """One image to draw: its file name, the text, and the entry's key in the prompt list."""

    image_name: str
    text: str
    key: str


def image_seed(seed: int, image_name: str) -> int:
    """The seed of one image, in [0, 2^64): the first 8 bytes, big-endian, of sha256("{seed}:{image_name}").

    An image so depends on its own name and the run's seed only, whatever batch, order or shard it is drawn in.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}:{image_name}".encode()).digest()[:8], "big")


def read_prompts(path: str | os.PathLike[str]) -> tuple[Prompt, ...]:
    """The prompts of `path` in the file's order.

    `.json`: an object of `key: {"image_name", "text_prompt", …}`. `.csv`: a header with at least `id` and `prompt`;
    the image is named by `id`, with `.png` appended when it has no suffix. Raises CompetitionError with every problem.
    """
    path = Path(path)
    try:
        data = read_regular(path, MAX_FILE_BYTES, follow=True)
    except NotReadable as error:
        raise CompetitionError(f"{path}: the prompt list {error}") from None
    readers = {".json": _from_json, ".csv": _from_csv}
    if path.suffix.lower() not in readers:
        raise CompetitionError(f"{path}: a prompt list is a .json or a .csv file")
    problems: list[Problem] = []
    prompts = tuple(readers[path.suffix.lower()](data, problems))
    problems += _problems_of(prompts)
    if not prompts and not problems:
        problems.append(Problem("", "there are no prompts in it"))
    if problems:
        raise CompetitionError(f"{path}: the prompt list is not valid", problems)
    return prompts


def _from_json(data: bytes, problems: list[Problem]) -> Iterator[Prompt]:
    value, wrong = strict_json.parse(data)
    problems += [Problem("", what) for what in wrong]
    if not isinstance(value, dict):
        if not wrong:
            problems.append(Problem("", "must be an object of entries, each with image_name and text_prompt"))
        return
    for key, entry in value.items():
        if not isinstance(entry, dict):
            problems.append(Problem(key, "is not an object", 'write {"image_name": …, "text_prompt": …}'))
            continue
        bad = [field for field in ("image_name", "text_prompt") if not isinstance(entry.get(field), str)]
        for field in bad:
            problems.append(Problem(key, f"{field} is missing" if field not in entry else f"{field} is not a string"))
        if not bad:
            yield Prompt(entry["image_name"], entry["text_prompt"], key)


def _from_csv(data: bytes, problems: list[Problem]) -> Iterator[Prompt]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        problems.append(Problem(f"line {number}", "is not UTF-8", "save the file as UTF-8"))
        return
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(rows, [])
        for column in ("id", "prompt"):
            if header.count(column) != 1:
                what = "has no" if column not in header else "has more than one"
                problems.append(
                    Problem("line 1", f"the header {what} column {column!r}", f"columns: {', '.join(header)}")
                )
        if problems:
            return
        for row in rows:
            line = f"line {rows.line_num}"
            if len(row) != len(header):
                problems.append(Problem(line, f"has {len(row)} cells, the header has {len(header)}"))
                continue
            key, prompt = row[header.index("id")], row[header.index("prompt")]
            if prompt.strip().lower() == "nan":
                problems.append(
                    Problem(key or line, "the prompt is NaN", "a table program wrote a missing value: fill it in")
                )
                continue
            yield Prompt(key if Path(key).suffix else f"{key}.png", prompt, key or line)
    except csv.Error as error:
        problems.append(Problem(f"line {rows.line_num}", f"is not CSV: {error}"))


def _problems_of(prompts: tuple[Prompt, ...]) -> Iterator[Problem]:
    seen: dict[str, Prompt] = {}
    for prompt in prompts:
        if reason := why_unsafe(prompt.image_name):
            yield Problem(prompt.key, f"the image name {prompt.image_name!r} {reason}")
        if (other := seen.setdefault(clash_key(prompt.image_name), prompt)) is not prompt:
            how = (
                "is also that"
                if other.image_name == prompt.image_name
                else f"differs only in case from {other.image_name!r}"
            )
            yield Problem(prompt.key, f"the image name {prompt.image_name!r} {how} of {other.key!r}")
        if not prompt.text.strip():
            yield Problem(prompt.key, "the prompt is empty")
        elif any(unicodedata.category(char) in ("Cc", "Cs") for char in prompt.text):
            yield Problem(prompt.key, "the prompt has control characters", "write it on one line, without tabs")
        elif len(prompt.text) > MAX_PROMPT_CHARACTERS:
            yield Problem(prompt.key, f"the prompt is longer than {MAX_PROMPT_CHARACTERS} characters")
