"""Prompt lists in JSON: an object of entries, a list of entries, or one entry a line (JSON Lines)."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any

from submission import strict_json
from submission.errors import Problem
from submission.names import SUFFIXES, with_suffix

Entry = tuple[str, str, str, dict[str, str]]  # image name, text, key, all fields as text
_NAME_FIELDS = ("file_name", "filename", "image_id", "id", "image")
_TEXT_FIELDS = ("prompt", "caption", "text")
_FORM = 'write {"image_name": …, "text_prompt": …}'


def entries_of_json(data: bytes, problems: list[Problem]) -> Iterator[Entry]:
    """The entries of a JSON file, which may hold JSON Lines; what is wrong is added to `problems`."""
    data = _as_utf8(data)
    value, wrong = strict_json.parse(data)
    if wrong and "Extra data" in wrong[0] and data.lstrip(codecs.BOM_UTF8).lstrip().startswith(b"{"):
        yield from entries_of_lines(data, problems)
        return
    problems += [Problem("", what) for what in wrong]
    if isinstance(value, list):
        for number, entry in enumerate(value):
            if isinstance(entry, dict):
                yield from _entry(f"entry {number}", entry, problems)
            else:
                problems.append(Problem(f"entry {number}", "must be an object with image_name and text_prompt", _FORM))
    elif isinstance(value, dict):
        for key, entry in value.items():
            if isinstance(entry, dict):
                yield from _entry(key, entry, problems, keyed=True)
            elif isinstance(entry, str) and _names_an_image(key):
                yield key, entry, key, {}
            else:
                problems.append(Problem(key, "is not an object", _FORM))
    elif not wrong:
        problems.append(Problem("", "must be an object or a list of entries, each with image_name and text_prompt"))


def entries_of_lines(data: bytes, problems: list[Problem]) -> Iterator[Entry]:
    """The entries of JSON Lines: one object a line; blank lines are left out."""
    for number, line in enumerate(_as_utf8(data).removeprefix(codecs.BOM_UTF8).splitlines(), start=1):
        if not line.strip():
            continue
        value, wrong = strict_json.parse(line)
        place = f"line {number}"
        problems += [Problem(place, what) for what in wrong]
        if isinstance(value, dict):
            yield from _entry(place, value, problems)
        elif not wrong:
            problems.append(Problem(place, "must be an object with image_name and text_prompt", _FORM))


def _entry(place: str, entry: dict[str, Any], problems: list[Problem], *, keyed: bool = False) -> Iterator[Entry]:
    """One entry, whose `place` is its key in an object (`keyed`), or where it stands."""
    name = _field(entry, "image_name", _NAME_FIELDS)
    text = _field(entry, "text_prompt", _TEXT_FIELDS)
    if name == "" and keyed and _names_an_image(place):
        entry, name = {**entry, "image_name": place}, "image_name"
    bad = []
    for field, documented in ((name, "image_name"), (text, "text_prompt")):
        if not field:
            bad.append(Problem(place, f"{documented} is missing"))
        elif "," in field:
            bad.append(Problem(place, f"{documented} is missing, and several could be it: {field}", _FORM))
        elif documented == "image_name" and field != documented and type(entry[field]) is int:
            entry = {**entry, field: str(entry[field])}
        elif not isinstance(entry[field], str):
            bad.append(Problem(place, f"{field} is not a string"))
    problems += bad
    if not bad:
        image = entry[name] if name == "image_name" else with_suffix(entry[name].strip())
        fields = {field: str(value) for field, value in entry.items() if isinstance(value, str | int)}
        yield image, entry[text], place if keyed else _stem(image), fields


def _field(entry: dict[str, Any], documented: str, others: tuple[str, ...]) -> str:
    """The field that is there: the documented one, or the only other; "" for none, several joined by commas."""
    return documented if documented in entry else ", ".join(name for name in others if name in entry)


def _names_an_image(text: str) -> bool:
    return text.lower().endswith(SUFFIXES)


def _stem(image_name: str) -> str:
    return image_name.rpartition(".")[0] or image_name


def _as_utf8(data: bytes) -> bytes:
    """UTF-16 with a byte order mark, as some shells redirect, becomes UTF-8; everything else is left as it is."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16").encode()
        except UnicodeError:
            return data
    return data
