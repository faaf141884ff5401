"""What the board says: marks, other prompts, broken rules, its signs explained; in ASCII too."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from leaderboard import append, rank, read
from leaderboard.__main__ import main
from leaderboard.show import print_board
from submission import Competition, Scorecard
from submission.errors import run
from submission.judging import mark
from submission.scorecard import Mark, RuleCheck, Suspicions

MakeCard = Callable[..., Scorecard]
ROOT = Path(__file__).resolve().parents[2]
MARKS = """
[marks]
fid = 0.5
clip_t = 0.5
"""


@pytest.fixture
def show(competition: Competition, tmp_path: Path, capsys, monkeypatch) -> Callable[..., str]:
    def run_show(*arguments: str, columns: int = 100) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        words = ["show", "--leaderboard", str(tmp_path / "board.csv"), "--competition", str(competition.root)]
        assert run(main, [*words, *arguments]) == 0
        return capsys.readouterr().out

    return run_show


def joined(text: str) -> str:
    return " ".join(text.split())


def suspect(card: Scorecard) -> Scorecard:
    broken = RuleCheck("max_repeats", 997, False, "997 repeats of another prompt's image, 20 allowed")
    return dataclasses.replace(card, suspicions=Suspicions({}, [broken]))


def test_the_rule_that_a_suspect_broke_is_named(show, make_card: MakeCard, tmp_path: Path) -> None:
    append(tmp_path / "board.csv", suspect(make_card(name="copier")))
    text = joined(show())
    assert "not ranked: copier: suspect: it breaks max_repeats: 997 repeats of another prompt's image" in text
    assert read(tmp_path / "board.csv")[0].broken.startswith("max_repeats: 997")


@pytest.fixture
def with_marks(competition: Competition) -> Competition:
    file = competition.root / "competition.toml"
    text = file.read_text().replace('name = "baseline"', 'name = "baseline"\nmark = 80')
    file.write_text(
        text.replace('name = "gold"\nfid = 50.0', 'name = "gold"\nmark = 100\nfid = 50.0\nclip_t = 0.9') + MARKS
    )
    return Competition.load(competition.root)


def test_marks_are_on_the_board_and_in_its_csv_and_a_suspect_has_none(
    show, with_marks, make_card: MakeCard, tmp_path: Path
) -> None:
    def marked(**changes) -> Scorecard:
        card = make_card(**changes)
        return dataclasses.replace(card, mark=mark(card.scores, with_marks.tiers, with_marks.marks))

    append(tmp_path / "board.csv", marked(name="half", content="1", fid=40.0))
    append(tmp_path / "board.csv", suspect(marked(name="copier", content="2", fid=40.0)))
    assert [row.mark for row in read(tmp_path / "board.csv")] == [90.0, 0.0]
    lines = show().splitlines()
    assert "mark" in next(line for line in lines if "FID" in line)
    assert next(line for line in lines if "half" in line).split()[-2:] == ["90", "%"]
    assert next(line for line in lines if "copier" in line).split()[-2:] == ["0", "%"]


def test_no_marks_no_column(show, make_card: MakeCard, tmp_path: Path) -> None:
    append(tmp_path / "board.csv", make_card())
    assert " mark" not in show()


def test_marks_of_a_competition_that_is_not_at_hand_are_those_of_then(make_card: MakeCard, tmp_path: Path) -> None:
    append(tmp_path / "board.csv", dataclasses.replace(make_card(), mark=Mark(72.5, {"fid": 72.5})))
    words = ["show", "--leaderboard", str(tmp_path / "board.csv")]
    out = io.StringIO()
    print_board(Console(file=out, width=100), rank(_entries(tmp_path)), {})
    assert "72.5 %" in out.getvalue()
    assert run(main, words) == 0


def _entries(tmp_path: Path):
    from leaderboard import entries

    return entries(tmp_path / "board.csv", tmp_path / "none.csv")


def test_a_changed_prompt_is_said(show, make_card: MakeCard, competition: Competition, tmp_path: Path) -> None:
    append(tmp_path / "board.csv", make_card(name="before", content="1"))
    assert "other" not in show()
    prompts = json.loads((competition.root / "test.json").read_text())
    prompts["0_main"]["text_prompt"] = "Another monster."
    (competition.root / "test.json").write_text(json.dumps(prompts))
    now = Competition.load(competition.root)
    after = make_card(name="after", content="2", fingerprint={"prompts_sha256": now.prompts_sha256})
    append(tmp_path / "board.csv", after)
    first, second = show().split("Tiny\n")[1:]
    assert "other prompts" in first
    assert "other" not in second
    append(tmp_path / "board.csv", make_card(name="fewer", content="3", n=2, fingerprint={"inception": "clean"}))
    assert "other prompts, another number of images, another Inception" in joined(show())


def test_the_newest_table_is_the_competition_as_it_is_now(show, make_card: MakeCard, tmp_path: Path) -> None:
    for day, references in enumerate(("3" * 64, "4" * 64), 1):
        card = make_card(name=f"day {day}", content=str(day), fingerprint={"references_sha256": references})
        append(tmp_path / "board.csv", card, datetime(2026, 1, day, tzinfo=UTC))
    before, now = show().split("Tiny\n")[1:]
    assert "other references" in before
    assert "other" not in now


def test_ranges_and_differences_are_explained(show, make_card: MakeCard, tmp_path: Path) -> None:
    for name, fid in (("a", 60.0), ("b", 61.0), ("c", 62.0)):
        append(tmp_path / "board.csv", make_card(name=name, content=name, fid=fid, fid_interval=(fid - 1.5, fid + 1.5)))
    text = joined(show(columns=120))
    assert "1–3: its place is somewhere from 1 to 3" in text
    assert "60.00 -30.00: the score, and how far it is from the gate's threshold" in text
    assert "how far" not in joined(show(columns=80))


def test_the_first_of_many(show, make_card: MakeCard, tmp_path: Path) -> None:
    for number in range(6):
        append(tmp_path / "board.csv", make_card(name=f"student {number}", content=str(number), fid=60.0 + number))
    text = show("--top", "2")
    assert "student 1" in text
    assert "student 2" not in text
    assert "and 4 more: --top N" in joined(text)
    assert "student 5" in show("--top", "0")
    assert "more" not in show()


def test_in_ascii_passed_is_not_cannot_tell(make_card: MakeCard, competition: Competition, tmp_path: Path) -> None:
    kinds = {"passed": (40.0, (39.0, 41.0)), "missed": (95.0, (94.0, 96.0)), "close": (89.0, (80.0, 99.0))}
    for name, (fid, interval) in kinds.items():
        append(tmp_path / "board.csv", make_card(name=name, content=name, fid=fid, fid_interval=interval))
    words = ["show", "--leaderboard", str(tmp_path / "board.csv"), "--competition", str(competition.root)]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "COLUMNS": "100"}
    result = subprocess.run(
        [sys.executable, "-m", "leaderboard", *words],
        cwd=ROOT, env=environment, capture_output=True, check=True,
    )  # fmt: skip
    lines = [line.replace("|", " ").split() for line in result.stdout.decode("ascii").splitlines()]
    signs = {line[1]: line[-1] for line in lines if line[1:2] and line[1] in kinds}
    assert signs["close"] == "?"
    assert len(set(signs.values())) == 3


def test_a_reader_who_leaves_is_no_error(make_card: MakeCard, competition: Competition, tmp_path: Path) -> None:
    append(tmp_path / "board.csv", make_card())
    command = f"{sys.executable} -m leaderboard show --leaderboard {tmp_path}/board.csv | true; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
