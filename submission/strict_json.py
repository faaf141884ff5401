"""JSON as the standard has it: no NaN, no key twice, UTF-8 only. Python's parser lets the first two pass silently."""

from __future__ import annotations

import json
from collections.abc import Iterator


class _NotJson(str):
    """NaN or an infinity, where it stands."""


def parse(data: bytes | str) -> tuple[object, list[str]]:
    """The value in `data` and all that is wrong with it, in words that begin with the place (an empty list: nothing).
    The value is None when `data` cannot be parsed at all."""
    twice: dict[int, list[str]] = {}  # id of an object -> its keys that are there twice

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        result: dict[str, object] = {}
        for key, value in items:
            if key in result:
                twice.setdefault(id(result), []).append(key)
            result[key] = value
        return result

    def problems(value: object, place: str = "") -> Iterator[str]:
        if isinstance(value, _NotJson):
            yield f"{place}{value} is not JSON"
        elif isinstance(value, str) and broken and not _is_utf8(value):
            yield f"{place}is not UTF-8"
        elif isinstance(value, dict):
            yield from (f"{place}the key {key!r} is there twice" for key in twice.get(id(value), ()))
            for key, child in value.items():
                yield from problems(key, place)
                yield from problems(child, f"{place}{key}: ")
        elif isinstance(value, list):
            for number, child in enumerate(value):
                yield from problems(child, f"{place}{number}: ")

    broken = ""
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        broken = f"is not UTF-8 (line {line}, byte {error.start})"
        text = data.decode("utf-8-sig", errors="surrogateescape")
    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=_NotJson)
        found = list(problems(value))
    except json.JSONDecodeError as error:
        return None, [broken or f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"]
    except RecursionError:
        return None, ["is nested too deeply"]
    except ValueError as error:  # a number of more than 4300 digits
        return None, [f"is not JSON that can be read: {error}"]
    return (None, [broken, *found]) if broken else (value, found)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
