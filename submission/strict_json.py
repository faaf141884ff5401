"""JSON as the standard has it: no NaN, no key twice, UTF-8 only. Python's parser lets the first two pass silently."""

from __future__ import annotations

import json


def parse(data: bytes | str) -> tuple[object, list[str]]:
    """The value in `data` and all that is wrong with it, in words (an empty list: nothing). The value is None when
    `data` cannot be parsed at all."""
    problems: list[str] = []

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        result: dict[str, object] = {}
        for key, value in items:
            if key in result:
                problems.append(f"the key {key!r} is there twice")
            result[key] = value
        return result

    def constant(name: str) -> None:
        problems.append(f"{name} is not JSON")

    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        return None, [f"is not UTF-8 (byte {error.start})"]
    try:
        return json.loads(text, object_pairs_hook=pairs, parse_constant=constant), problems
    except json.JSONDecodeError as error:
        return None, [f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"]
    except RecursionError:
        return None, ["is nested too deeply"]
    except ValueError as error:  # a number of more than 4300 digits
        return None, [f"is not JSON that can be read: {error}"]
