"""Prompt lists: the course's `test.json`, CSV files with `id,prompt` and their like, read strictly.

A wrong prompt list spoils every score that is measured with it, so nothing is guessed and nothing is skipped: all
problems are reported at once, each with its entry.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from submission.delimited import find_column, read_table
from submission.errors import CompetitionError, Problem
from submission.names import clash_key, why_unsafe, with_suffix
from submission.prompt_json import Entry, entries_of_json, entries_of_lines
from submission.safe_read import NotReadable, read_regular

MAX_FILE_BYTES = 64 * 2**20
MAX_PROMPT_CHARACTERS = 10_000
_NAME_COLUMNS = ("image_id", "image_name", "image", "file_name", "filename", "file", "name")
_TEXT_COLUMNS = ("text_prompt", "caption", "text")


@dataclass(frozen=True)
class Prompt:
    """One image to draw: its file name, the text, the key of its entry in the prompt list, and the entry's fields."""

    image_name: str
    text: str
    key: str
    fields: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


def image_seed(seed: int, image_name: str) -> int:
    """The seed of one image, in [0, 2^64): the first 8 bytes, big-endian, of sha256("{seed}:{image_name}").

    An image so depends on its own name and the run's seed only, whatever batch, order or shard it is drawn in.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}:{image_name}".encode()).digest()[:8], "big")


def read_prompts(path: str | os.PathLike[str]) -> tuple[Prompt, ...]:
    """The prompts of `path` in the file's order, blanks around them removed.

    `.json`: an object of `key: {"image_name", "text_prompt", …}`, or a list of such entries; `.jsonl`: one a line.
    `.csv`, `.tsv`: a header with at least `id` and `prompt`, or with one other usual name for each (`image_id`,
    `caption` …). An id without the suffix of an image gets `.png`. Raises CompetitionError with every problem.
    """
    path = Path(path)
    try:
        data = read_regular(path, MAX_FILE_BYTES, follow=True)
    except NotReadable as error:
        raise CompetitionError(f"{path}: the prompt list {error}") from None
    readers = {
        ".json": entries_of_json,
        ".jsonl": entries_of_lines,
        ".ndjson": entries_of_lines,
        ".csv": _from_table,
        ".tsv": _from_table,
    }
    if path.suffix.lower() not in readers:
        raise CompetitionError(
            f"{path}: a prompt list is a .csv, .tsv, .json or .jsonl file\n"
            "  write a CSV with the columns id and prompt: it says which image each prompt gets"
        )
    problems: list[Problem] = []
    entries = readers[path.suffix.lower()](data, problems)
    prompts = tuple(Prompt(name, text.strip(), key, fields) for name, text, key, fields in entries)
    problems += _problems_of(prompts)
    if not prompts and not problems:
        problems.append(Problem("", "there are no prompts in it"))
    if problems:
        raise CompetitionError(f"{path}: the prompt list is not valid", problems)
    return prompts


def _columns(header: Sequence[str]) -> tuple[list[str], list[str]]:
    """The columns of the image's name and of its prompt, and why they cannot be told."""
    name, no_name = find_column(header, "id", _NAME_COLUMNS)
    text, no_text = find_column(header, "prompt", _TEXT_COLUMNS)
    rivals = [column for column in header if column in _NAME_COLUMNS]
    if name == "id" and text not in (None, "prompt") and rivals:
        # As in COCO's annotations, where `id` is the caption's.
        no_name = f"has a column 'id' and {', '.join(rivals)}, which could name the image too"
    whys = [why for why in (no_name, no_text) if why]
    return ([] if whys else [str(name), str(text)]), whys


def _from_table(data: bytes, problems: list[Problem]) -> Iterator[Entry]:
    table = read_table(data, lambda header: bool(_columns(header)[0]), problems)
    if table is None:
        return
    columns, whys = _columns(table.header)
    if not columns:
        hint = f"call the image's column id and the text's prompt; columns: {', '.join(table.header) or 'none'}"
        problems.extend(Problem("line 1", f"the header {why}", hint) for why in whys)
        return
    ids, texts = (table.header.index(column) for column in columns)
    keys = [cells[ids] for _, cells in table.rows]
    for pattern, what in ((r"\d+\.0", "decimals"), (r"\d+([.,]\d+)?[eE]\+?\d+", "powers of ten")):
        if keys and all(re.fullmatch(pattern, key) for key in keys):
            what = f"a table program made {what} of the images' numbers, such as {keys[0]}"
            problems.append(Problem("", what, "write the ids as text, as the images are to be named"))
            return
    for line, cells in table.rows:
        key, text = cells[ids], cells[texts]
        if text.lower() == "nan":
            what, hint = "the prompt is NaN", "a table program wrote a missing value: fill it in"
            problems.append(Problem(key or f"line {line}", what, hint))
        else:
            yield with_suffix(key), text, key or f"line {line}", dict(zip(table.header, cells, strict=True))


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
        if any(unicodedata.category(char) in ("Cc", "Cs") for char in prompt.text):
            yield Problem(prompt.key, "the prompt has control characters", "write it on one line, without tabs")
        elif all(unicodedata.category(char)[0] in "CZ" for char in prompt.text):  # blanks, and what nobody sees
            yield Problem(prompt.key, "the prompt is empty")
        elif len(prompt.text) > MAX_PROMPT_CHARACTERS:
            yield Problem(prompt.key, f"the prompt is longer than {MAX_PROMPT_CHARACTERS} characters")
