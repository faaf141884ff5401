"""Prompts of every script can be read on a sheet, and lines fit."""

from __future__ import annotations

import unicodedata

import pytest

from submission.sheet_text import cut, font, largest, legible, wrap

BOX = bytes(font(16).getmask("\U0010fffe"))  # what the font draws for a character that it lacks

KEPT = ["a red dragon", "é à ü ñ ø ß ł ž – — … “quoted” ’", "κόκκινος δράκος", "красный дракон", "π ≤ ∞ × ± → °"]
TRANSCRIBED = {
    "一隻紅色的龍": "yi zhi hong se de long",
    "赤いドラゴン": "chi idoragon",
    "붉은 용": "bulgeun yong",
    "लाल अजगर": "lal ajgr",
    "تنين أحمر": "tnyn 'hmr",
    "דרקון": "drkvn",
    "龍、赤。": "long , chi .",
    "🐉 dragon": "dragon dragon",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 family": "man woman girl family",
    "a \u2764\ufe0f": "a ❤",
    "e\u0301t\u0301": "ét\u0301",
}


@pytest.mark.parametrize("text", KEPT)
def test_what_the_font_has_is_kept(text):
    assert legible(text) == text


@pytest.mark.parametrize(("text", "expected"), TRANSCRIBED.items())
def test_other_scripts_become_latin_letters(text, expected):
    assert legible(text) == expected


def test_nothing_is_drawn_as_a_box_or_breaks_the_line():
    every = [chr(code) for code in [*range(0x20, 0x3100), *range(0x4E00, 0x4F00), *range(0xAC00, 0xAD00)]]
    every += [chr(code) for code in [*range(0x1F300, 0x1F500), 0xE000, 0x10FFFD, 0x2FFFE]]
    for start in range(0, len(every), 64):
        shown = legible(" ".join(every[start : start + 64]))
        assert "\n" not in shown
        for char in set(shown) - {" "}:
            assert bytes(font(16).getmask(char)) != BOX, f"U+{ord(char):04X} {unicodedata.name(char, '')}"


def test_control_characters_are_escaped_not_obeyed():
    assert legible("a\u202eb\x1b[2J\nc") == r"a\u202eb\x1b[2J\nc"


def test_wrapped_lines_fit_and_keep_the_words():
    letters = font(12)
    text = "A gray serpent with a single huge eye, a golden crown, and a sharp sword. The monster is attacking."
    lines = wrap(text, letters, 260, 9)
    assert " ".join(lines) == text
    assert all(letters.getlength(line) <= 260 for line in lines)
    assert wrap(text, letters, 260, 2)[1].endswith("…")
    long = wrap("x" * 60, letters, 100, 9)
    assert "".join(long) == "x" * 60
    assert all(letters.getlength(line) <= 100 for line in [*long, *wrap("x" * 500, letters, 100, 3)])
    assert len(wrap("x" * 500, letters, 100, 3)) == 3
    assert wrap("", letters, 100, 3) == []
    assert wrap("W", letters, 1, 3)  # narrower than a letter: it ends


def test_the_largest_size_that_fits():
    assert largest("short", (32, 16), 500) == 32
    assert largest("a" * 40, (32, 16), 500) == 16
    assert largest("a" * 400, (32, 16), 500) == 16


def test_what_is_cut_says_so():
    assert cut("short", font(12), 200) == "short"
    assert cut("a" * 200, font(12), 200).endswith("a…")
    assert font(12).getlength(cut("a" * 200, font(12), 200)) <= 200
