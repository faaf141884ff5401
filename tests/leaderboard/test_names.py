"""Names that read as another entry's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from leaderboard import Added, append, board, names, read
from submission import Scorecard
from submission.errors import UsageError

SHIPPED = ["monster", "clip-guided noised", "vq"]


@pytest.mark.parametrize(
    "name",
    [
        "monster*",
        "monster *",
        "monster\N{FULLWIDTH ASTERISK}",
        "monster\N{ASTERISK OPERATOR}",
        "monster\N{LOW ASTERISK}",
        "monster=",
        "Monster",
        "MONSTER",
        "monster\u200b",
        "mon\u200bster",
        "mon\u00adster",
        "\u2060monster",
        "monster\ufe0f",
        "mon\u034fster",
        "monster\u3164",
        "mоnster",  # a Cyrillic o
        "mοnster",  # a Greek o
        "МОNSТЕR",
        "ｍｏｎｓｔｅｒ",
        "\N{MATHEMATICAL BOLD SMALL M}onster",
        "mօnster",  # an Armenian o
        "moոster",  # an Armenian vo
        "ꮇonster",  # a Cherokee lu
        "cӏip-guided noised",  # a Cyrillic palochka
        "ꓟꓳꓠꓢꓔꓰꓣ",  # Lisu
        "cꓲip-guided noised",
        "ᴍᴏɴꜱᴛᴇʀ",
        "\N{NEGATIVE CIRCLED LATIN CAPITAL LETTER M}onster",
        "clip-guided\N{NO-BREAK SPACE}noised*",
        "clip-guided  noised =",
        "monster (suspect)",
        "anything (scored here)",
        "any*",
        "",
        " ",
        "\u200b",
        "\u3164",
    ],
)
def test_what_reads_as_a_shipped_entry_or_as_a_mark_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        names.check(board.plain(name), name, [], SHIPPED)


@pytest.mark.parametrize(
    "name",
    [
        "monster",
        "monster 2",
        "monster-seed1",
        "ours",
        "ours+",
        "C++",
        "Müller",
        "Muller",
        "名前",
        "мой",
        "α-model",
        "Team Ωmega",
        "チームA",
        "团队A",
        "팀net",
        "ทีมA",
        "Δnet",
        "Яndex",
        "Հայ vq",
        "команда",
        "Ομάδα",
        "o1",
        "vl",
        "vq2",
        "it's [mine]",
        "a*b",
        "100 %",
    ],
)
def test_honest_names_are_not(name: str) -> None:
    names.check(board.plain(name), name, ["alice", "Müller 2", "unet", "anna", "index", "01", "v1", "the vq"], SHIPPED)


def test_another_student_s_name_is_another_student_s(tmp_path: Path, make_card: Callable[..., Scorecard]) -> None:
    path = tmp_path / "board.csv"
    append(path, make_card(name="Alice", content="a"))
    before = path.read_bytes()
    for name in ("alice", "Аlice", "Alice\u200b", "Alice*", "Al\u00adice"):
        with pytest.raises(UsageError):
            append(path, make_card(name=name, content="b"))
        with pytest.raises(UsageError):
            board.check(path, "tiny", name)
    assert path.read_bytes() == before
    assert isinstance(append(path, make_card(name="Alice", content="b")), Added)
    assert isinstance(append(path, make_card(name="alice 2", content="c")), Added)
    board.check(path, "another competition", "alice")
    assert len(read(path)) == 3


def test_the_shipped_names_are_those_of_their_competition(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="shipped"):
        board.check(tmp_path / "none.csv", "bestiary", "Monster")
    board.check(tmp_path / "none.csv", "bestiary", "monster")
    board.check(tmp_path / "none.csv", "coco2014", "Monster")
