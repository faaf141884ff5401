"""JSON as the standard has it: no NaN, no key twice, UTF-8 only. Python's parser lets the first two pass silently.

The text is foreign, so the work is linear in its length whatever is in it: places are put into words only for the
problems that are shown, and of those there are MAX_PROBLEMS at most.
"""

from __future__ import annotations

import json
from collections import Counter

from submission.errors import shown

MAX_PROBLEMS = 20
_PLACES_SHOWN = 5  # of the keys that lead to a problem: the last ones
_KEY_SHOWN = 40  # characters of each


# id of an object -> the object, kept so that its id is nobody else's, and its keys that are there twice
_Twice = dict[int, tuple[dict[str, object], list[str]]]


class _NotJson(str):
    """NaN or an infinity, where it stands."""


class _Place:
    """A value's key in its object or array, and the place of that: words are made of it only when they are needed."""

    __slots__ = ("key", "outer")

    def __init__(self, key: str | int, outer: _Place | None) -> None:
        self.key, self.outer = key, outer

    def __str__(self) -> str:
        keys: list[str] = []
        place: _Place | None = self
        while place is not None and len(keys) < _PLACES_SHOWN:
            keys.append(shown(str(place.key), _KEY_SHOWN))
            place = place.outer
        return "".join(f"{key}: " for key in (["…"] if place is not None else []) + keys[::-1])


class _Problems:
    """Problems in words: the first MAX_PROBLEMS, and how many more there are."""

    def __init__(self) -> None:
        self.first: list[str] = []
        self.count = 0

    def add(self, place: _Place | None, what: str) -> None:
        self.count += 1
        if len(self.first) < MAX_PROBLEMS:
            self.first.append(f"{'' if place is None else place}{what}")

    def lines(self) -> list[str]:
        more = self.count - len(self.first)
        return self.first + ([f"and {more:,} more problems"] if more else [])


def parse(data: bytes | str) -> tuple[object, list[str]]:
    """The value in `data` and what is wrong with it, in words that begin with the place (an empty list: nothing).
    The value is None when `data` cannot be parsed at all."""
    twice: _Twice = {}

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        result = dict(items)
        if len(result) < len(items):
            counted = Counter(key for key, _ in items)
            twice[id(result)] = result, [key for key in result if counted[key] > 1]
        return result

    broken = ""
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        assert isinstance(data, bytes)
        line = error.object.count(b"\n", 0, error.start) + 1
        broken = f"is not UTF-8 (line {line}, byte {error.start})"
        text = data.decode("utf-8-sig", errors="surrogateescape")
    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=_NotJson)
    except json.JSONDecodeError as error:
        return None, [broken or f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"]
    except RecursionError:
        return None, ["is nested too deeply"]
    except ValueError as error:  # a number of more than 4300 digits
        return None, [f"is not JSON that can be read: {error}"]
    found = _problems(value, twice, not_utf8=bool(broken))
    return (None, [broken, *found]) if broken else (value, found)


def _problems(whole: object, twice: _Twice, *, not_utf8: bool) -> list[str]:
    """What is wrong inside a value that could be parsed, in the order of the text."""
    problems = _Problems()
    todo: list[tuple[object, _Place | None]] = [(whole, None)]
    while todo:
        value, place = todo.pop()
        if isinstance(value, _NotJson):
            problems.add(place, f"{value} is not JSON")
        elif isinstance(value, str):
            if not_utf8 and not _is_utf8(value):
                problems.add(place, "is not UTF-8")
        elif isinstance(value, dict):
            if id(value) in twice:
                for key in twice[id(value)][1]:
                    problems.add(place, f"the key {shown(key, _KEY_SHOWN)!r} is there twice")
            if not_utf8:
                for key in value:
                    if not _is_utf8(key):
                        problems.add(place, "a key is not UTF-8")
            todo += [
                (child, _Place(key, place)) for key, child in reversed(value.items()) if _may_be_wrong(child, not_utf8)
            ]
        elif isinstance(value, list):
            numbered = zip(range(len(value) - 1, -1, -1), reversed(value), strict=True)
            todo += [(child, _Place(number, place)) for number, child in numbered if _may_be_wrong(child, not_utf8)]
    return problems.lines()


def _may_be_wrong(value: object, not_utf8: bool) -> bool:
    return isinstance(value, dict | list | _NotJson) or (not_utf8 and isinstance(value, str))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
