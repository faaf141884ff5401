"""Text on a contact sheet: a font that has the letters, other scripts in Latin letters, lines that fit.

DejaVu Sans, which matplotlib brings along, has Latin, Greek, Cyrillic and the usual signs. Pillow writes scripts from
right to left, or those whose letters join, only with a library that not every machine has; so those, and what the font
lacks, are transcribed: a prompt in Chinese is a line to read instead of a row of boxes, and the same on every machine.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

from submission import commands
from submission.errors import MissingPart, shown

_NOBODY_HAS = "\U0010fffe"  # a code point that is no character: what a font draws for what it lacks
_UNSEEN = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\ufe0e\ufe0f\u00ad"))  # joiners, and choices of a glyph


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans in `size` pixels. Raises MissingPart when matplotlib, which has it, is not installed."""
    found = find_spec("matplotlib")  # its code is not needed, only the file
    folders = list(found.submodule_search_locations or ()) if found else []
    for folder in folders:
        path = Path(folder) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if path.is_file():
            return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
    get_it = commands.install(["matplotlib"])
    raise MissingPart("the font DejaVu Sans", looked_for="the package matplotlib", get_it=get_it)


def legible(text: str) -> str:
    """`text` in characters that `font` has, on one line: what it lacks in Latin letters, or else as code points."""
    text = unicodedata.normalize("NFC", text).translate(_UNSEEN)
    return " ".join("".join(_letter(char) for char in shown(text, 10 * len(text) + 1)).split())


@lru_cache(maxsize=4096)
def _letter(char: str) -> str:
    """One character, or what is written in its place. Ideographs and pictures are words of their own."""
    if unicodedata.category(char)[0] == "Z":
        return " "
    if unicodedata.bidirectional(char) not in ("R", "AL", "AN") and _has(char):
        return char
    from anyascii import anyascii  # tables of some megabytes, which most prompts do without

    latin = anyascii(char)
    if not latin:
        return "" if unicodedata.category(char)[0] == "M" else f" U+{ord(char):04X} "
    if char.lower() == char.upper():  # a script without capitals
        latin = latin.lower()
    if unicodedata.category(char)[0] == "P" and unicodedata.east_asian_width(char) in "WF":
        return f"{latin} "  # a full-width comma holds the blank after it
    is_word = unicodedata.category(char) == "So" or unicodedata.name(char, "").startswith("CJK")
    return f" {latin.strip(':')} " if is_word else latin


def _has(char: str) -> bool:
    letters = font(16)
    lacking, drawn = (letters.getmask(text) for text in (_NOBODY_HAS, char))
    return (drawn.size, bytes(drawn)) != (lacking.size, bytes(lacking))


def wrap(text: str, letters: ImageFont.FreeTypeFont, width: int, max_lines: int) -> list[str]:
    """`text` broken into lines of at most `width` pixels, long words too; what is over `max_lines` becomes "…"."""
    lines = [""]
    for word in text.split():
        if letters.getlength(longer := f"{lines[-1]} {word}".strip()) <= width:
            lines[-1] = longer
            continue
        while (fits := _fits(word, letters, width)) < len(word) and len(lines) <= max_lines:
            lines.append(word[: max(1, fits)])
            word = word[max(1, fits) :]
        lines.append(word)
        if len(lines) > max_lines + 1:  # the rest is not shown
            break
    lines = [line for line in lines if line]
    if len(lines) > max_lines:
        lines = [*lines[: max_lines - 1], cut(f"{lines[max_lines - 1]} …", letters, width)]
    return lines


def largest(text: str, sizes: Sequence[int], width: int) -> int:
    """The first of `sizes`, the largest first, in which `text` is at most `width` pixels long; else the last."""
    return next((size for size in sizes if font(size).getlength(text) <= width), sizes[-1])


def cut(text: str, letters: ImageFont.FreeTypeFont, width: int) -> str:
    """`text`, or so much of it as fits into `width` pixels with "…"."""
    if _fits(text, letters, width) == len(text):
        return text
    return text[: _fits(text, letters, width - letters.getlength("…"))].rstrip() + "…"


def _fits(text: str, letters: ImageFont.FreeTypeFont, width: float) -> int:
    """How many of the first characters are at most `width` pixels long."""
    return bisect_right(range(1, len(text) + 1), width, key=lambda end: letters.getlength(text[:end]))
