"""Prompt lists: the course's `test.json`, CSV files with `id,prompt` and their like, read strictly.

A wrong prompt list spoils every score that is measured with it, so nothing is guessed and nothing is skipped: all
problems are reported at once, each with its entry.
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from submission import strict_json
from submission.csv_text import find_column, read_table
from submission.errors import CompetitionError, Problem
from submission.image_names import SUFFIXES, clash_key, why_unsafe, with_suffix
from submission.safe_read import read_of_host

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
    data = read_of_host(path, MAX_FILE_BYTES, "the prompt list ")
    readers = {".json": _of_json, ".jsonl": _of_lines, ".ndjson": _of_lines, ".csv": _of_table, ".tsv": _of_table}
    if path.suffix.lower() not in readers:
        raise CompetitionError(
            f"{path}: a prompt list is a .csv, .tsv, .json or .jsonl file\n"
            "  write a CSV with the columns id and prompt: it says which image each prompt gets"
        )
    problems: list[Problem] = []
    prompts = tuple(readers[path.suffix.lower()](data, problems))
    problems += _problems_of(prompts)
    if not prompts and not problems:
        problems.append(Problem("", "there are no prompts in it"))
    if problems:
        raise CompetitionError(f"{path}: the prompt list is not valid", problems)
    return prompts


def _columns(header: Sequence[str]) -> tuple[list[str], list[str]]:
    """The columns of the image's name and of its prompt, and what is ambiguous."""
    name, no_name = find_column(header, "id", _NAME_COLUMNS)
    text, no_text = find_column(header, "prompt", _TEXT_COLUMNS)
    rivals = [column for column in header if column in _NAME_COLUMNS]
    if name == "id" and text not in (None, "prompt") and rivals:
        # As in COCO's annotations, where `id` is the caption's.
        no_name = f"has a column 'id' and {', '.join(rivals)}, which could name the image too"
    whys = [why for why in (no_name, no_text) if why]
    return ([] if whys else [str(name), str(text)]), whys


def _of_table(data: bytes, problems: list[Problem]) -> Iterator[Prompt]:
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
            yield Prompt(with_suffix(key), text, key or f"line {line}", dict(zip(table.header, cells, strict=True)))


def _problems_of(prompts: tuple[Prompt, ...]) -> Iterator[Problem]:
    seen: dict[str, Prompt] = {}
    for prompt in prompts:
        if reason := why_unsafe(prompt.image_name):
            yield Problem(prompt.key, f"the image name {prompt.image_name!r} {reason}")
        if (other := seen.setdefault(clash_key(prompt.image_name), prompt)) is not prompt:
            same = other.image_name == prompt.image_name
            how = "is also that" if same else f"differs only in case from {other.image_name!r}"
            yield Problem(prompt.key, f"the image name {prompt.image_name!r} {how} of {other.key!r}")
        if not prompt.text.isprintable() and any(unicodedata.category(char) in ("Cc", "Cs") for char in prompt.text):
            yield Problem(prompt.key, "the prompt has control characters", "write it on one line, without tabs")
        elif all(unicodedata.category(char)[0] in "CZ" for char in prompt.text):  # blanks, and what nobody sees
            yield Problem(prompt.key, "the prompt is empty")
        elif len(prompt.text) > MAX_PROMPT_CHARACTERS:
            yield Problem(prompt.key, f"the prompt is longer than {MAX_PROMPT_CHARACTERS} characters")


_NAME_FIELDS = ("file_name", "filename", "image_id", "id", "image")
_TEXT_FIELDS = ("prompt", "caption", "text")
_FORM = 'write {"image_name": …, "text_prompt": …}'


def _of_json(data: bytes, problems: list[Problem]) -> Iterator[Prompt]:
    """The prompts of a JSON file, which may hold JSON Lines; what is wrong is added to `problems`."""
    data = _as_utf8(data)
    value, wrong = strict_json.parse(data)
    if wrong and "Extra data" in wrong[0] and data.lstrip(codecs.BOM_UTF8).lstrip().startswith(b"{"):
        yield from _of_lines(data, problems)
        return
    problems += [Problem("", what) for what in wrong]
    if isinstance(value, list):
        for number, entry in enumerate(value):
            yield from _entry(f"entry {number}", entry, problems)
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from _entry(key, entry, problems, keyed=True)
    elif not wrong:
        problems.append(Problem("", "must be an object or a list of entries, each with image_name and text_prompt"))


def _of_lines(data: bytes, problems: list[Problem]) -> Iterator[Prompt]:
    """The prompts of JSON Lines: one object a line; blank lines are left out."""
    for number, line in enumerate(_as_utf8(data).removeprefix(codecs.BOM_UTF8).splitlines(), start=1):
        if not line.strip():
            continue
        value, wrong = strict_json.parse(line)
        place = f"line {number}"
        problems += [Problem(place, what) for what in wrong]
        if isinstance(value, dict) or not wrong:
            yield from _entry(place, value, problems)


def _entry(place: str, entry: object, problems: list[Problem], *, keyed: bool = False) -> Iterator[Prompt]:
    """One entry, whose `place` is its key in an object (`keyed`), or where it stands."""
    if keyed and isinstance(entry, str) and _names_an_image(place):
        yield Prompt(place, entry.strip(), place)
        return
    if not isinstance(entry, dict):
        what = "is not an object" if keyed else "must be an object with image_name and text_prompt"
        problems.append(Problem(place, what, _FORM))
        return
    name = _field(entry, "image_name", _NAME_FIELDS)
    text = _field(entry, "text_prompt", _TEXT_FIELDS)
    if name == "" and keyed and _names_an_image(place):
        entry, name = {**entry, "image_name": place}, "image_name"
    bad = []
    for found, documented in ((name, "image_name"), (text, "text_prompt")):
        if not found:
            bad.append(Problem(place, f"{documented} is missing"))
        elif "," in found:
            bad.append(Problem(place, f"{documented} is missing, and several could be it: {found}", _FORM))
        elif documented == "image_name" and found != documented and type(entry[found]) is int:
            entry = {**entry, found: str(entry[found])}
        elif not isinstance(entry[found], str):
            bad.append(Problem(place, f"{found} is not a string"))
    problems += bad
    if not bad:
        image = entry[name] if name == "image_name" else with_suffix(entry[name].strip())
        fields = {field: str(value) for field, value in entry.items() if isinstance(value, str | int)}
        yield Prompt(image, entry[text].strip(), place if keyed else image.rpartition(".")[0] or image, fields)


def _field(entry: dict[str, Any], documented: str, others: tuple[str, ...]) -> str:
    """The field that is there: the documented one, or the only other; "" for none, several joined by commas."""
    return documented if documented in entry else ", ".join(name for name in others if name in entry)


def _names_an_image(text: str) -> bool:
    return text.lower().endswith(SUFFIXES)


def _as_utf8(data: bytes) -> bytes:
    """UTF-16 with a byte order mark, as some shells redirect, becomes UTF-8; everything else is left as it is."""
    with contextlib.suppress(UnicodeError):
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return data.decode("utf-16").encode()
    return data
