"""`python -m scorer`: what it prints and writes, its exit codes, and that a refusal writes nothing."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from leaderboard import board
from scorer import Scorer
from scorer.__main__ import main
from submission import Scorecard
from submission.errors import run

NAMES = [f"{i}.png" for i in range(12)]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
def arguments(
    tmp_path: Path, make_competition: Callable, write_images: Callable, draw: Callable, tiny_clip_weights: Path,
    clean_weights: Path,
) -> list[str]:  # fmt: skip
    """A complete command line; the entry is in `entry/`, the outputs in `out/`."""
    tiers = '[[tiers]]\nname = "baseline"\nfid = 1e9\nclip_t = 0.99\n'
    root = make_competition(NAMES, inception="clean", clip_weights=tiny_clip_weights, tiers=tiers)
    write_images(root / "references", {name: draw(i, (64, 64)) for i, name in enumerate(NAMES)})
    write_images(tmp_path / "entry", {name: draw(i + 100, (64, 64)) for i, name in enumerate(NAMES)})
    out = tmp_path / "out"
    out.mkdir()
    return [
        str(tmp_path / "entry"), "--competition", str(root), "--inception-weights", str(clean_weights),
        "--trust-weights", "--device", "cpu", "--json", str(out / "card.json"), "--csv", str(out / "images.csv"),
        "--leaderboard", str(out / "board.csv"), "--name", "mine",
    ]  # fmt: skip


def written(tmp_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")}


def test_scores_writes_and_ranks_once(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(main, arguments) == 0
    printed = capsys.readouterr().out
    for text in ("mine", "FID ↓", "CLIP-T ↑", "references", "wrong prompts", "baseline", "missed", "≥ 0.9900", "Added"):
        assert text in printed
    assert max(len(line) for line in printed.splitlines() if "board" not in line) <= 80
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert {"competition", "submission", "name", "n", "scores", "tiers", "fingerprint", "notes"} <= card.keys()
    assert set(card["scores"]) == {"fid", "clip_i", "clip_t", "is", "psnr", "ssim"}
    assert card["scores"]["fid"].keys() == {"value", "low", "high"}
    (row,) = board.read(tmp_path / "out" / "board.csv")
    assert row.name == "mine"
    assert row.numbers["fid"] == card["scores"]["fid"]["value"]

    before = written(tmp_path)
    assert run(main, arguments) == 0
    assert "already on the board" in capsys.readouterr().out
    assert written(tmp_path) == before  # the same bytes, scored again: the same numbers, no new row


def test_a_zip_with_an_enclosing_folder_is_the_same_submission(arguments: list[str], tmp_path: Path) -> None:
    assert run(main, arguments) == 0
    before = written(tmp_path)
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "entry")
    assert run(main, [str(tmp_path / "packed.zip"), *arguments[1:]]) == 0
    assert written(tmp_path) == before


def test_an_invalid_submission_writes_nothing(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(main, arguments) == 0
    before = written(tmp_path)
    (tmp_path / "entry" / NAMES[3]).write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "entry" / NAMES[4]).unlink()
    capsys.readouterr()
    assert run(main, arguments) == 3
    error = capsys.readouterr().err
    assert NAMES[3] in error
    assert NAMES[4] in error
    assert "Traceback" not in error
    assert written(tmp_path) == before


def test_other_exit_codes(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(main, [*arguments, "--limit", "0"]) == 2
    assert run(main, [*arguments, "--nonsense"]) == 2
    assert run(main, [*arguments, "--json", str(tmp_path / "nowhere" / "card.json")]) == 2
    assert run(main, [*arguments, "--json", str(tmp_path)]) == 2
    assert run(main, [*arguments, "--competition", "no-such-competition"]) == 3
    assert run(main, [*arguments, "--inception-weights", str(tmp_path / "gone.pt")]) == 4
    assert run(main, [str(tmp_path / "no-entry"), *arguments[1:]]) == 3
    assert written(tmp_path) == {}
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--json", "--csv", "--leaderboard", "--problems"])
def test_what_cannot_be_written_is_said_before_the_work(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch, option: str
) -> None:
    monkeypatch.setattr(Scorer, "score", lambda *_, **__: pytest.fail("it was measured"))
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "out", tmp_path / ("x" * 300), Path("/proc/drawoff"), tmp_path):
        assert run(main, [*arguments, option, str(place)]) == 2
        assert f"{option} {str(place)[:40]}" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.part"))


def test_what_was_measured_is_printed_whatever_fails(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    def full(self: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "out" / "card.json"))

    monkeypatch.setattr(Scorecard, "to_json", full)
    assert run(main, arguments) == 4
    said = capsys.readouterr()
    assert "FID ↓" in said.out
    assert "Added to the board" in said.out
    assert "No space left" in said.err
    assert sorted(written(tmp_path)) == ["board.csv", "images.csv"]  # what could be written is there


def test_why_nothing_was_scored_is_written_for_programs(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "entry" / NAMES[4]).unlink()
    (tmp_path / "entry" / "odd\udce9.png").write_bytes(b"")
    problems = tmp_path / "out" / "problems.json"
    assert run(main, [*arguments, "--problems", str(problems)]) == 3
    told = json.loads(problems.read_text())
    assert told["exit_code"] == 3
    assert NAMES[4] in told["message"]
    assert {problem["name"] for problem in told["problems"]} == {NAMES[4], "odd\\udce9.png"}


def test_a_broken_board_is_said_before_the_work(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out" / "board.csv").write_text("not a board\n")
    before = written(tmp_path)
    assert run(main, arguments) == 3
    assert "board.csv, line 1" in capsys.readouterr().err
    assert written(tmp_path) == before
    assert run(main, [*arguments, "--no-leaderboard"]) == 0


def test_limit_prints_but_does_not_rank(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(main, [*arguments, "--limit", "10"]) == 0
    assert "Not added to the board" in capsys.readouterr().out
    assert "board.csv" not in written(tmp_path)
    assert run(main, [*arguments, "--no-leaderboard"]) == 0
    assert "board" not in capsys.readouterr().out
    assert "board.csv" not in written(tmp_path)


def test_as_a_module_in_a_narrow_pipe(arguments: list[str], tmp_path: Path, clean_weights: Path) -> None:
    """The real entry point, piped: help works, errors are one message, no bar is drawn."""
    environment = {**os.environ, "COLUMNS": "80"}
    command = [sys.executable, "-m", "scorer"]
    help_ = subprocess.run([*command, "--help"], capture_output=True, text=True, env=environment, check=False)
    assert help_.returncode == 0
    assert "--no-leaderboard" in help_.stdout
    wrong = subprocess.run(
        [*command, str(tmp_path / "gone"), *arguments[1:3]],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert wrong.returncode == 3
    assert "\x1b[" not in wrong.stderr
    assert "Traceback" not in wrong.stderr + wrong.stdout
