"""JSON as the standard has it: no NaN, no key twice, UTF-8 only. Python's parser lets the first two pass silently.

The text is foreign, so the work is linear in its length whatever is in it: places are put into words only for the
problems that are shown, and of those there are MAX_PROBLEMS at most.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeAlias, TypeVar

from submission.errors import shown

MAX_PROBLEMS = 20
_PLACES_SHOWN = 5  # of the keys that lead to a problem: the last ones
_KEY_SHOWN = 40  # characters of each
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # what a byte that is not UTF-8 becomes

Found = TypeVar("Found")
# A value's key in its object or array, and the place of that; None for the whole.
_Place: TypeAlias = "tuple[str | int, _Place] | None"


class _NotJson(str):
    """NaN or an infinity, where it stands."""


class _Object(dict[str, object]):
    """An object with keys that are there `twice`."""

    twice: list[str]


def first(problems: Iterable[Found], words: Callable[[Found], str] = str) -> list[str]:
    """The `words` of the first MAX_PROBLEMS, made of these alone, and how many more there are."""
    left = iter(problems)
    lines = [words(problem) for problem in islice(left, MAX_PROBLEMS)]
    more = sum(1 for _ in left)
    return lines + ([f"and {more:,} more problems"] if more else [])


def parse(data: bytes | str) -> tuple[object, list[str]]:
    """The value in `data` and what is wrong with it, in words that begin with the place (an empty list: nothing).
    The value is None when `data` cannot be parsed at all."""
    broken = ""
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        broken = f"is not UTF-8 (line {line}, byte {error.start})"
        text = error.object.decode(errors="surrogateescape")
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_NotJson)
    except json.JSONDecodeError as error:
        return None, [broken or f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"]
    except RecursionError:
        return None, ["is nested too deeply"]
    except ValueError as error:  # a number of more than 4300 digits
        return None, [f"is not JSON that can be read: {error}"]
    found = first(_problems(value, not_utf8=bool(broken)), _in_words)
    return (None, [broken, *found]) if broken else (value, found)


def _in_words(problem: tuple[_Place, str]) -> str:
    place, what = problem
    keys: list[str] = []
    while place is not None and len(keys) < _PLACES_SHOWN:
        key, place = place
        keys.insert(0, shown(str(key), _KEY_SHOWN))
    return ": ".join([*(["…"] if place is not None else []), *keys, what])


def _object(items: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(items)
    if len(result) < len(items):
        result = _Object(result)
        counted = Counter(key for key, _ in items)
        result.twice = [key for key in result if counted[key] > 1]
    return result


def _problems(whole: object, *, not_utf8: bool) -> Iterator[tuple[_Place, str]]:
    """What is wrong inside a value that could be parsed, in the order of the text."""
    may_be_wrong = (dict, list, str if not_utf8 else _NotJson)
    todo: list[tuple[object, _Place]] = [(whole, None)]
    while todo:
        value, place = todo.pop()
        if isinstance(value, _NotJson):
            yield place, f"{value} is not JSON"
        elif isinstance(value, str):
            if not_utf8 and _SURROGATE.search(value):
                yield place, "is not UTF-8"
        elif isinstance(value, dict | list):
            if isinstance(value, _Object):
                for key in value.twice:
                    yield place, f"the key {shown(key, _KEY_SHOWN)!r} is there twice"
            if not_utf8 and isinstance(value, dict):
                for _ in filter(_SURROGATE.search, value):
                    yield place, "a key is not UTF-8"
            inner = value.items() if isinstance(value, dict) else enumerate(value)
            todo += reversed([(child, (key, place)) for key, child in inner if isinstance(child, may_be_wrong)])
