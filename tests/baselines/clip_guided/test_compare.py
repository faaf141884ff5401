"""The comparison of guides: one row each, from what the scorer wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from baselines.clip_guided import compare
from submission import Competition


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that were run; each leaves the file that its real one would."""
    run: list[list[str]] = []

    def record(command: list[str], stdout: object) -> SimpleNamespace:
        run.append(command[2:])
        value = {name: command[command.index(name) + 1] for name in command if name.startswith("--") and name in KEPT}
        if command[2] == "baselines":
            out = Path(value["--out"])
            out.mkdir()
            scale = 2.5 if value["--guide"] != "none" else None
            (out / "submission.json").write_text(json.dumps({"settings": {"guidance_scale": scale}}))
        else:
            card = {"n": 2, "scores": {"clip_t": {"value": 0.31234}, "fid": None}, "accuracy": {"body": 0.5}}
            Path(value["--json"]).write_text(json.dumps(card))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", record)
    return run


KEPT = ("--out", "--json", "--guide")


def test_every_guide_is_drawn_and_judged_by_the_scorer(
    commands: list, tmp_path: Path, tiny_competition: Callable[..., Competition], capsys: pytest.CaptureFixture[str]
) -> None:
    competition = str(tiny_competition(n=2).root)
    compare.main(["--competition", competition, "--out", str(tmp_path / "out"), "--limit", "2"])
    assert [command[0] for command in commands] == ["baselines", "scorer"] * 4
    assert all("--no-leaderboard" in command for command in commands if command[0] == "scorer")
    said = capsys.readouterr().out
    assert said.splitlines() == [
        "| guide | scale | n | fid | clip_i | clip_t | body |",
        "|---|---|---|---|---|---|---|",
        "| none | – | 2 | – | – | 0.3123 | 0.5 |",
        "| pretrained | 2.5 | 2 | – | – | 0.3123 | 0.5 |",
        "| finetuned | 2.5 | 2 | – | – | 0.3123 | 0.5 |",
        "| noised | 2.5 | 2 | – | – | 0.3123 | 0.5 |",
    ]
    assert (tmp_path / "out" / "tiny" / "table.md").read_text() == said


def test_each_scale_is_a_row_and_a_folder(
    commands: list, tmp_path: Path, tiny_competition: Callable[..., Competition]
) -> None:
    competition = str(tiny_competition(n=2).root)
    arguments = ["--guides", "none", "noised", "--guidance-scale", "1", "4", "--guidance-form", "raw"]
    compare.main(["--competition", competition, "--out", str(tmp_path), *arguments])
    outs = [Path(command[command.index("--out") + 1]).name for command in commands if command[0] == "baselines"]
    assert outs == ["none", "noised-raw-1", "noised-raw-4"]
    assert "--guidance-form" not in commands[0]


def test_a_command_that_fails_ends_it(
    tmp_path: Path, tiny_competition: Callable[..., Competition], capfd: pytest.CaptureFixture[str]
) -> None:
    competition = str(tiny_competition(n=2).root)
    arguments = ["--limit", "-1", "--guides", "none", "--device", "cpu"]
    with pytest.raises(SystemExit) as caught:
        compare.main(["--competition", competition, "--out", str(tmp_path), *arguments])
    assert caught.value.code == 2
    assert "the limit -1 is not at least 1" in capfd.readouterr().err


def test_the_comparison_is_a_command() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "baselines.clip_guided.compare", "--help"], capture_output=True, text=True
    )
    assert said.returncode == 0
    assert "--guides" in said.stdout
