"""Entries that break a competition's rules: shown and marked, never ranked, never through the gate."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from leaderboard import append, board, rank, table
from leaderboard.__main__ import main
from leaderboard.row import from_cells, from_scorecard, to_cells
from submission import Competition, Scorecard
from submission.errors import run
from submission.rules import Rules
from submission.scorecard import Finding, Suspicions

MakeCard = Callable[..., Scorecard]
RULES = """
[rules]
max_reference_copies = 1
max_repeats = 0
[rules.bounds]
fid = [20.0, 900.0]
"""


@pytest.fixture
def ruled(competition: Competition) -> Competition:
    file = competition.root / "competition.toml"
    file.write_text(file.read_text() + RULES)
    return Competition.load(competition.root)


@pytest.fixture
def suspect_card(ruled: Competition, make_card: MakeCard) -> MakeCard:
    """A card with so many copies and repeats, judged by the competition's rules."""

    def make(copies: int = 0, repeats: int = 0, **changes) -> Scorecard:
        findings = {
            "reference_copies": Finding(copies, {"same pixels": copies}, ["0.png = 1.png"] * bool(copies)),
            "repeats": Finding(repeats),
        }
        card = make_card(**changes)
        return dataclasses.replace(card, suspicions=Suspicions(findings, ruled.rules.check(findings, card.scores)))

    return make


@pytest.fixture
def check(ruled: Competition, tmp_path: Path) -> Callable[..., int]:
    def run_check(card: Scorecard, *arguments: str) -> int:
        (tmp_path / "card.json").write_text(card.to_json())
        return run(
            main, ["check", "--trust", str(tmp_path / "card.json"), "--competition", str(ruled.root), *arguments]
        )

    return run_check


@pytest.mark.parametrize(
    ("found", "code", "words"),
    [
        ({"copies": 1}, 0, "every threshold is reached"),
        (
            {"copies": 2},
            1,
            "breaks the rule max_reference_copies: 2 copies of references, 1 allowed, such as 0.png",
        ),
        ({"repeats": 1}, 1, "breaks the rule max_repeats"),
        ({"fid": 3.0}, 1, "FID 3.00 is too good to be true, outside 20.00 … 900.00"),
        ({"fid": 950.0}, 1, "worse than anything that works"),
        ({"copies": 2, "clip_i": 0.7}, 1, "CLIP-I ≥ 0.7500 missed by 0.0500"),  # both are said
    ],
)
def test_the_gate_stays_shut_and_says_why(check, suspect_card, capsys, found: dict, code: int, words: str) -> None:
    assert check(suspect_card(**found)) == code
    assert words in " ".join(capsys.readouterr().out.split())


def test_the_rules_of_now_are_held_against_an_old_card(check, ruled, suspect_card, make_card, capsys) -> None:
    lenient = dataclasses.replace(suspect_card(copies=3), suspicions=Suspicions({"reference_copies": Finding(3)}))
    assert check(lenient) == 1
    assert "max_repeats could not be checked" in " ".join(capsys.readouterr().out.split())
    assert check(make_card()) == 4  # nothing is known of copies
    assert "score the submission again" in capsys.readouterr().err


def test_the_answer_for_machines(check, suspect_card, tmp_path: Path) -> None:
    files = tmp_path / "gate.json", tmp_path / "gate.xml"
    assert check(suspect_card(copies=2), "--json", str(files[0]), "--junit", str(files[1])) == 1
    answer = json.loads(files[0].read_text())
    assert not answer["passed"]
    assert [rule["passed"] for rule in answer["rules"]] == [False, True, True]
    failed = [case for case in ElementTree.parse(files[1]).iter("testcase") if case.find("failure") is not None]
    assert [(case.get("classname"), case.get("name")) for case in failed] == [("gate.rules", "max_reference_copies")]


def test_a_suspect_row_is_kept_marked_and_not_ranked(suspect_card, ruled: Competition, tmp_path: Path, capsys) -> None:
    path = tmp_path / "board.csv"
    append(path, suspect_card(name="honest", content="a", fid=80.0))
    append(path, suspect_card(copies=3, name="copied", content="b", fid=21.0))
    assert [row.status for row in board.read(path)] == ["ok", "suspect"]
    assert run(main, ["show", "--competition", str(ruled.root), "--leaderboard", str(path)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "not ranked: copied: suspect" in shown
    (group,) = rank(board.entries(path, tmp_path / "none.csv"))
    assert [(entry.row.name, entry.place) for entry in group.ranked] == [("honest", 1), ("copied", None)]
    assert "copied (suspect)" in table.markdown([group]).replace("\\", "")
    # The newest row is the suspect one.
    assert run(main, ["check", "--competition", str(ruled.root), "--trust", str(path)]) == 1
    assert "found suspect when it was scored" in " ".join(capsys.readouterr().out.split())


def test_the_row_is_read_as_it_was_written(suspect_card) -> None:
    row = from_scorecard(suspect_card(copies=3))
    assert row.status == "suspect"
    assert from_cells(to_cells(row)) == row


def test_bounds_are_for_whole_submissions(make_card) -> None:
    rules = Rules.model_validate({"bounds": {"fid": [20.0, 70.0]}})
    scores = make_card(fid=80.0).scores
    assert [check.passed for check in rules.check({}, scores)] == [False]
    assert rules.check({}, scores, whole=False) == []
