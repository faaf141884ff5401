"""From a submission to its entry: scored for real, through the command, on a small competition."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leaderboard import board
from scorer import Scorer, score
from scorer.__main__ import main
from scorer.networks import embedded
from submission import Competition, Scorecard
from submission.errors import run

ROOT = Path(__file__).resolve().parents[2]
MARKS = """
mark = 90
[marks]
clip_t = 1.0
[rules]
max_repeats = 0
"""


@pytest.fixture
def competition(tiny_competition: Callable) -> Competition:
    """24 prompts, a mark for any CLIP-T, and no image twice."""
    made = tiny_competition(24)
    file = made.root / "competition.toml"
    text = file.read_text()
    file.write_text(text[: text.index("fid = 90.0")] + "clip_t = -1.0\n" + MARKS)
    return Competition.load(made.root)


@pytest.fixture
def enter(competition: Competition, tmp_path: Path, capsys) -> Callable[..., str]:
    """Scores a folder under its name, and returns what was printed."""

    def run_scorer(folder: Path, *arguments: str, code: int = 0) -> str:
        words = [str(folder), "--competition", str(competition.root), "--device", "cpu"]
        words += ["--leaderboard", str(tmp_path / "board.csv"), *arguments]
        assert run(main, words) == code
        out, err = capsys.readouterr()
        return " ".join((out + err).split())

    return run_scorer


def copied(folder: Path, out: Path, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    out.mkdir()
    for file in folder.glob("*.png"):
        Image.fromarray(change(np.asarray(Image.open(file).convert("RGB")))).save(out / file.name)
    return out


def noisy(image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(int(image.sum())).integers(-2, 3, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


def test_copies_stay_and_are_named(enter, competition, tiny_submission, tmp_path: Path) -> None:
    alice = tiny_submission(competition, name="alice")
    (alice / "submission.json").unlink()
    enter(alice)
    assert "the same images as alice" in enter(copied(alice, tmp_path / "bob", lambda image: image))
    assert "nearly the same images as alice" in enter(copied(alice, tmp_path / "carol", noisy))
    dave = tiny_submission(competition, seed=5, name="dave")
    (dave / "submission.json").unlink()
    assert "≈" not in enter(dave)
    assert [row.name for row in board.read(tmp_path / "board.csv")] == ["alice", "bob", "carol", "dave"]
    better = enter(copied(alice, tmp_path / "x", lambda image: 255 - image), "--name", "dave")
    assert "than your last of" in better


def test_a_suspect_earns_no_mark(enter, competition, tiny_submission, tmp_path: Path) -> None:
    honest = enter(tiny_submission(competition), "--name", "honest")
    assert "Mark: 90 % (" in honest
    collapsed = copied(tmp_path / "drawn", tmp_path / "collapsed", lambda image: image)
    first, *others = sorted(collapsed.iterdir())
    for other in others:
        other.write_bytes(first.read_bytes())
    told = enter(collapsed, "--json", str(tmp_path / "card.json"))
    assert "Mark: none" in told
    assert "90 %" not in told
    assert json.loads((tmp_path / "card.json").read_text())["mark"]["value"] == 0
    assert [row.mark for row in board.read(tmp_path / "board.csv")] == [90.0, 0.0]


def test_the_scorecard_has_its_schema_and_the_time_of_measuring(competition, tiny_submission, monkeypatch) -> None:
    folder = tiny_submission(competition)
    first = score(folder, competition, "cpu", progress=False)
    assert json.loads(first.to_json())["schema_version"] == 1
    assert abs(time.time() - _seconds(first)) < 600
    monkeypatch.setattr(time, "time", lambda: 0)
    kept = score(folder, competition, "cpu", progress=False)
    assert kept.to_json() == first.to_json()  # measured then, however often it is asked for


def _seconds(card: Scorecard) -> float:
    return datetime.strptime(card.created_at or "", "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()


def test_an_output_that_is_an_input_is_refused_before_the_work(enter, competition, tiny_submission, tmp_path) -> None:
    folder = tiny_submission(competition)
    enter(folder)
    before = (tmp_path / "board.csv").read_bytes()
    (tmp_path / "link.json").symlink_to(tmp_path / "board.csv")
    for option, path in (
        ("--json", tmp_path / "board.csv"),
        ("--csv", tmp_path / "link.json"),
        ("--json", folder / "card.json"),
        ("--json", competition.root / "competition.toml"),
        ("--csv", competition.root / "references" / "x.csv"),
    ):
        assert "--" in enter(folder, option, str(path), code=2)
    assert (tmp_path / "board.csv").read_bytes() == before
    assert not (folder / "card.json").exists()


def test_a_name_is_refused_before_the_work_and_the_scores_are_printed_whatever_happens(
    enter, competition, tiny_submission, tmp_path: Path, monkeypatch
) -> None:
    folder = tiny_submission(competition)
    enter(folder, "--name", "alice")
    refused = enter(tiny_submission(competition, seed=7, name="other"), "--name", "Аlice", code=2)  # a Cyrillic A
    assert "FID" not in refused
    monkeypatch.setattr(board, "append", lambda *_: (_ for _ in ()).throw(board.BoardError("broken just now")))
    printed = enter(folder, "--json", str(tmp_path / "card.json"), code=3)
    assert "FID" in printed
    assert "broken just now" in printed
    assert (tmp_path / "card.json").exists()


def test_the_row_is_added_though_the_reader_leaves_at_once(competition, tiny_submission, tmp_path: Path) -> None:
    words = [str(tiny_submission(competition)), "--competition", str(competition.root), "--device", "cpu"]
    words += ["--leaderboard", str(tmp_path / "board.csv")]
    environment = os.environ | {"DRAWOFF_CACHE": str(tmp_path / "cache")}
    with subprocess.Popen(
        [sys.executable, "-m", "scorer", *words],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        told = process.stderr.read()
        assert process.wait() == 0, told
    assert "Error" not in told
    assert [row.name for row in board.read(tmp_path / "board.csv")] == ["blobs"]


def test_one_scorer_reads_the_networks_once_for_many_submissions(
    tiny_competition: Callable, tiny_submission: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    competition = tiny_competition()
    entries = [tiny_submission(competition), tiny_submission(competition, seed=5, name="other")]
    alone = [score(entry, competition, "cpu", cache=False, progress=False) for entry in entries]
    load, loaded = embedded.load_classifier, []
    monkeypatch.setattr(embedded, "load_classifier", lambda device: loaded.append(device) or load(device))
    scorer = Scorer(competition, "cpu", cache=False, progress=False)
    assert [scorer.score(entry).card for entry in entries] == alone
    assert len(loaded) == 1
