"""Renamed and removed entries: the board changes, the history keeps the lines, nothing is lost in between."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from leaderboard import append, editing, read
from leaderboard.__main__ import main
from submission import Scorecard, atomic
from submission.errors import run


@pytest.fixture
def path(tmp_path: Path, make_card: Callable[..., Scorecard]) -> Path:
    """A board with two entries of alice and one of bob."""
    for name, content in (("alice", "1"), ("bob", "2"), ("alice", "3")):
        append(tmp_path / "board.csv", make_card(name=name, content=content))
    return tmp_path / "board.csv"


def history(path: Path) -> list[dict[str, str]]:
    with editing.history_path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def names(path: Path) -> list[str]:
    return [row.name for row in read(path)]


def test_rename(path: Path, capsys) -> None:
    before = read(path)
    assert run(main, ["rename", "alice", "Alice B.", "--leaderboard", str(path)]) == 0
    assert "2 entries of alice to Alice B." in capsys.readouterr().out
    assert names(path) == ["Alice B.", "bob", "Alice B."]
    assert [row.numbers for row in read(path)] == [row.numbers for row in before]
    kept = history(path)
    assert [(line["name"], line["change"]) for line in kept] == [("alice", "renamed to Alice B.")] * 2
    assert [line["submission_sha256"] for line in kept] == [before[0].submission_sha256, before[2].submission_sha256]


def test_remove_all_or_one(path: Path, capsys) -> None:
    first, _, third = read(path)
    line = path.read_text().splitlines()[3]
    command = ["remove", "alice", "--leaderboard", str(path), "--submission"]
    assert run(main, [*command, third.submission_sha256[:12]]) == 0
    assert names(path) == ["alice", "bob"]
    assert editing.history_path(path).read_text().splitlines()[1].endswith(f",removed,{line}")
    assert run(main, command[:-1]) == 0
    assert names(path) == ["bob"]
    assert [line["submission_sha256"] for line in history(path)] == [third.submission_sha256, first.submission_sha256]
    assert "As they were" in capsys.readouterr().out


def test_what_was_removed_can_come_again(path: Path, make_card: Callable[..., Scorecard]) -> None:
    editing.remove(path, "bob")
    append(path, make_card(name="bob", content="2"))
    editing.remove(path, "bob")
    assert len(history(path)) in (1, 2)  # one, when both were added within a second
    assert names(path) == ["alice", "alice"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["remove", "alcie"], "there is alice"),
        (["remove", "alice", "--submission", "zz"], "no such entry"),
        (["remove", "monster"], "no such entry"),  # it ships
        (["rename", "nobody", "x"], "no such entry"),
        (["rename", "alice", "bob*"], "mark"),
        (["rename", "alice", "BOB"], "reads as"),
        (["rename", "alice", " "], "needs a name"),
        (["remove", "alice", "--competition", "bestiary"], "no such entry"),
    ],
)
def test_what_cannot_be_done_changes_nothing(path: Path, words: list[str], says: str, capsys) -> None:
    before = path.read_bytes()
    assert run(main, [*words, "--leaderboard", str(path)]) == 2
    assert says in capsys.readouterr().err
    assert path.read_bytes() == before
    assert not editing.history_path(path).exists()


def test_a_shipped_name_is_its_own_after_a_rename_too(path: Path, make_card, capsys) -> None:
    append(path, dataclasses.replace(make_card(name="carol", content="4"), competition="bestiary"))
    assert run(main, ["rename", "alice", "Monster", "--leaderboard", str(path)]) == 0
    assert run(main, ["rename", "carol", "m0nster", "--leaderboard", str(path)]) == 0
    assert run(main, ["rename", "m0nster", "mоnster", "--leaderboard", str(path)]) == 2
    assert "a shipped baseline" in capsys.readouterr().err


def test_two_entries_with_the_same_images_do_not_become_one(path: Path, make_card, capsys) -> None:
    append(path, make_card(name="carol", content="2"))
    assert run(main, ["rename", "carol", "bob", "--leaderboard", str(path)]) == 2
    assert "remove one of the two" in capsys.readouterr().err
    assert names(path).count("carol") == 1


def test_entries_may_join_others(path: Path) -> None:
    editing.rename(path, "bob", "alice")
    assert names(path) == ["alice"] * 3


@pytest.mark.parametrize(
    "command", [lambda path: editing.rename(path, "alice", "x"), lambda path: editing.remove(path, "alice")]
)
def test_killed_between_the_two_files_nothing_is_lost_or_twice(path: Path, command, monkeypatch) -> None:
    replacing = atomic.replacing

    def dying(target, **options):
        if target == path:
            raise KeyboardInterrupt
        return replacing(target, **options)

    before = path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(atomic, "replacing", dying)
        with pytest.raises(KeyboardInterrupt):
            command(path)
    assert path.read_bytes() == before
    assert len(history(path)) == 2
    command(path)
    assert len(history(path)) == 2
    assert "alice" not in names(path)


@pytest.mark.parametrize("sign", [", ", "\r", "\u2028", "\x85", "\v"])
def test_columns_of_others_stay(path: Path, sign: str) -> None:
    lines = path.read_text().splitlines()
    cells = [f'{line},"a{sign}{n}"' for n, line in enumerate(lines[1:])]
    path.write_bytes(("\n".join([f"{lines[0]},group", *cells]) + "\n").encode())
    editing.rename(path, "bob", "robert")
    editing.remove(path, "alice")
    with path.open(newline="", encoding="utf-8") as file:
        (line,) = csv.DictReader(file)
    assert (line["name"], line["group"]) == ("robert", f"a{sign}1")
    assert [line["group"] for line in history(path)] == [f"a{sign}{n}" for n in (1, 0, 2)]


def test_a_history_line_without_its_time_stays(path: Path) -> None:
    editing.remove(path, "bob")
    file = editing.history_path(path)
    header, line = file.read_text().splitlines()
    file.write_text(f"{header}\n,{line.partition(',')[2]}\n")
    assert run(main, ["remove", "alice", "--leaderboard", str(path)]) == 0
    assert [(line["name"], bool(line["changed_at"])) for line in history(path)] == [
        ("bob", False), ("alice", True), ("alice", True),
    ]  # fmt: skip


def test_a_history_that_is_something_else_is_left_alone(path: Path, capsys) -> None:
    editing.history_path(path).write_text("my notes\n")
    before = path.read_bytes()
    assert run(main, ["remove", "bob", "--leaderboard", str(path)]) == 3
    assert "board.history.csv" in capsys.readouterr().err
    assert (path.read_bytes(), editing.history_path(path).read_text()) == (before, "my notes\n")
