"""TOML of foreign origin: Python's parser takes quadratic time for long dotted keys, and leaves by other exceptions."""

from __future__ import annotations

import re
import tomllib
from typing import Any

MAX_BYTES = 2**18
MAX_KEY_PARTS = 32
_PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*"""
_LONG_KEY = re.compile(rf"""(?<![\w"'.-]){_PART}(?:\.[ \t]*{_PART}){{{MAX_KEY_PARTS}}}""", re.ASCII)


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
