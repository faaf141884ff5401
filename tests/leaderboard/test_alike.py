"""Equal and near-equal submissions: every entry stays, and each names the other."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import scorer.__main__
from leaderboard import Added, AlreadyThere, alike, append, board, rank, read
from leaderboard.__main__ import main
from submission import Competition, Scorecard
from submission.errors import run

MakeCard = Callable[..., Scorecard]
RNG = np.random.default_rng(0)
BITS = RNG.integers(0, 2, 768).astype(bool)


def look(bits: np.ndarray) -> str:
    return "a" + base64.b64encode(np.packbits(bits)).decode()


def changed(count: int) -> np.ndarray:
    bits = BITS.copy()
    bits[:count] ^= True
    return bits


@pytest.fixture
def add(make_card: MakeCard, tmp_path: Path) -> Callable[..., Added]:
    """Appends a card to board.csv, with a look where `bits` are given."""

    def append_card(name: str, content: str, bits: np.ndarray | None = None, **changes) -> Added:
        card = make_card(name=name, content=content, **changes)
        card = dataclasses.replace(card, look=None if bits is None else look(bits))
        outcome = append(tmp_path / "board.csv", card)
        assert isinstance(outcome, Added), outcome
        return outcome

    return append_card


@pytest.fixture
def shown(competition: Competition, tmp_path: Path, capsys) -> Callable[..., str]:
    def run_show(*arguments: str) -> str:
        words = ["show", "--leaderboard", str(tmp_path / "board.csv"), "--competition", str(competition.root)]
        assert run(main, [*words, *arguments]) == 0
        return " ".join(capsys.readouterr().out.split())

    return run_show


def test_a_shipped_row_that_is_drawn_again_resembles_nobody(add, monkeypatch, tmp_path: Path) -> None:
    add("monster", "m", BITS)
    add("monster 20 steps", "n", changed(5))
    (tmp_path / "board.csv").rename(tmp_path / "shipped.csv")
    monkeypatch.setattr(board, "SHIPPED", tmp_path / "shipped.csv")
    drawn = add("monster", "m", BITS)
    assert (drawn.alike, drawn.row.alike) == ((), "")
    copied = add("mallory", "m", BITS)
    assert {entry.name for entry in copied.alike} == {"monster", "monster 20 steps"}


def test_the_same_images_under_another_name_are_an_entry_and_both_are_named(add, shown, tmp_path: Path) -> None:
    add("alice", "a")
    second = add("bob", "a")
    assert [entry.words for entry in second.alike] == ["the same images as alice"]
    assert [row.name for row in read(tmp_path / "board.csv")] == ["alice", "bob"]
    text = shown()
    assert "alice≈" in text
    assert "bob≈" in text
    assert "alice and bob have the same images; those of alice were scored first" in text


def test_a_near_copy_is_named_by_both_and_another_model_is_not(add, shown) -> None:
    add("alice", "a", BITS)
    copy = add("bob", "b", changed(30), fid=70.0)
    assert [(entry.name, round(entry.similarity, 2)) for entry in copy.alike] == [("alice", 0.99)]
    assert add("carol", "c", changed(170)).alike == ()
    text = shown()
    assert "alice and bob have nearly the same images; those of alice were scored first" in text
    assert "carol≈" not in text
    assert text.index("bob≈") < text.index("alice≈")  # it is named, and ranked by its scores


def test_decoys_hide_no_copy_and_nothing_is_said_that_the_board_does_not_show(add, shown, tmp_path, make_card) -> None:
    add("alice", "a", BITS)
    for number in range(3):
        add(f"decoy {number}", f"d{number}", changed(20 + number))
    assert "alice" in [entry.name for entry in add("mallory", "m", changed(25)).alike if entry.shown]
    assert "alice and mallory have nearly the same images; those of alice were scored first" in shown()
    again = make_card(name="eve", content="a", fingerprint={"protocol": 2})
    lines = scorer.__main__._to_board(tmp_path / "board.csv", dataclasses.replace(again, look=look(BITS)), [])
    assert "the same images as alice" in lines[1]
    assert not any("the board says so" in line for line in lines)


def test_more_than_a_row_has_room_for(add, monkeypatch) -> None:
    monkeypatch.setattr(alike, "MOST_NOTED", 2)
    for number in range(3):
        add(f"student {number}", f"s{number}", changed(number))
    found = add("last", "l", changed(5))
    assert [(entry.name, entry.shown) for entry in found.alike] == [
        ("student 0", True), ("student 1", True), ("student 2", False),
    ]  # fmt: skip
    assert len(found.row.alike.split()) == 2


@pytest.mark.parametrize(
    ("rows", "pairs"),
    [
        (["alice a b", "mallory b a"], ["alice mallory"]),  # scored again, each named the other
        (["alice a", "alice b a"], []),  # renamed since
        (["alice a", "mallory b a", "alice b"], ["alice mallory"]),  # who came second cannot turn it round
        (["a a", "b b a", "c c a b", "d d a b c"], ["a b", "a c", "a d", "b c", "b d", "c d"]),
        (["bob c", "alice a", "bob a d"], ["alice bob"]),  # what it named was removed
    ],
)
def test_each_two_names_once_in_the_order_of_their_times(rows: list[str], pairs: list[str]) -> None:
    cells = [[*row.split(" ", 2), ""] for row in rows]
    lines = [(*line[:3], time) for time, line in enumerate(cells)]
    frame = pd.DataFrame(lines[::-1], columns=["name", "submission_sha256", "alike", "created_at"])
    found, involved = alike.pairs(frame)
    assert [f"{pair.earlier} {pair.later}" for pair in found] == pairs
    assert bool(involved) == bool(pairs)


def test_one_s_own_entries_are_not_named(add, shown) -> None:
    add("alice", "a", BITS)
    assert add("alice", "b", changed(5)).alike == ()
    assert "≈" not in shown("--all")


def test_other_prompts_are_other_images(add) -> None:
    add("alice", "a", BITS)
    assert add("bob", "a", BITS, fingerprint={"prompts_sha256": "7" * 64}).alike == ()
    assert add("carol", "c", BITS, n=2).alike == ()
    assert len(add("dave", "d", BITS, fingerprint={"inception": "clean"}).alike) == 1


def test_an_entry_that_its_name_s_best_hides_is_named_too(add, shown) -> None:
    add("alice", "a", fid=80.0)
    add("alice", "better", fid=60.0)
    add("bob", "a", fid=80.0)
    text = shown()
    assert "alice and bob have the same images" in text
    assert "bob≈" in text
    assert "alice≈" not in text


def test_who_sends_the_same_again_is_told_so(add, make_card: MakeCard, tmp_path: Path) -> None:
    add("alice", "a")
    add("bob", "a")
    again = append(tmp_path / "board.csv", make_card(name="bob", content="a"))
    assert isinstance(again, AlreadyThere)
    assert again.row.name == "bob"


def test_a_shipped_baseline_s_images_are_named(make_card: MakeCard, tmp_path: Path) -> None:
    shipped = next(row for row in read(board.SHIPPED) if row.status == "ok")
    card = make_card(
        name="my own work",
        n=shipped.n,
        fingerprint={**shipped.measured_by, "competition": shipped.competition},
    )
    card = dataclasses.replace(card, competition=shipped.competition, submission=shipped.submission_sha256)
    outcome = append(tmp_path / "board.csv", card)
    assert [entry.name for entry in outcome.alike] == [shipped.name]


def test_many_with_the_same_images_are_named_with_the_first(add, tmp_path: Path) -> None:
    for number in range(30):
        add(f"student {number}", "a")
    group = rank(board.entries(tmp_path / "board.csv", shipped=tmp_path / "none"))[0]
    assert {pair.earlier for pair in group.pairs} == {"student 0"}
    assert len(group.pairs) == 29
    assert all(entry.resembles for entry in group.ranked)
