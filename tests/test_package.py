"""An installed package, without the checkout: all it needs is in it, and what users make goes to their folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from submission import paths

ROOT = Path(__file__).resolve().parent.parent
ROOMS = (*paths.ROOMS, "drawoff.py")
# As `pip install .` copies it, without the minute that compressing and unpacking takes.
BUILD = "from setuptools import setup; setup()"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What lies in site-packages after an installation."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in (*ROOMS, "pyproject.toml", "README.md", "LICENSE"):
        (source / name).symlink_to(ROOT / name)
    command = [sys.executable, "-W", "ignore", "-c", BUILD, "-q"]
    command += ["egg_info", "--egg-base", str(source), "build", "--build-base", str(source / "build")]
    done = subprocess.run([*command, "--build-lib", str(target)], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def sources() -> set[str]:
    """The files of the rooms, but for what their use made: what git ignores, or what it would where there is no git."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *ROOMS]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0 and listed.stdout:
        return {file for file in listed.stdout.splitlines() if (ROOT / file).is_file()}
    made = ("submission/out/", "leaderboard/leaderboard")
    paths = [path for room in ROOMS for path in (ROOT / room, *(ROOT / room).rglob("*")) if path.is_file()]
    files = {path.relative_to(ROOT).as_posix() for path in paths if "__pycache__" not in path.parts}
    return {file for file in files if not file.startswith(made)}


def test_everything_is_installed_and_nothing_that_was_made(installed: Path) -> None:
    there = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    assert there == {file for file in sources() if not file.startswith("baselines/samples/")}


def run(installed: Path, folder: Path, *command: str) -> str:
    """What `python -m COMMAND` in the folder says, from the installed packages."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DRAWOFF_", "XDG_"))}
    environment |= {"PYTHONPATH": str(installed), "HOME": str(folder.parent / "home")}
    words = [sys.executable, "-P", "-m", *command]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_is_drawn_and_scored_goes_to_the_current_folder(installed: Path, tmp_path: Path, tiny_competition) -> None:
    competition = str(tiny_competition(12).root)
    folder = tmp_path / "mine"
    folder.mkdir()
    out = "submissions/tiny/noise"
    assert "complete, 12 drawn now" in run(installed, folder, "baselines", "noise", "--competition", competition)
    assert "ok: " in run(installed, folder, "submission", "check", out, "--competition", competition)
    run(installed, folder, "scorer", out, "--competition", competition, "--device", "cpu")
    board = run(installed, folder, "leaderboard", "show")
    assert "monster*" in board
    assert "noise      0/1" in board
    assert (tmp_path / "home" / ".cache" / "drawoff" / "results").is_dir()
    assert {name for name in os.listdir(folder) if not name.startswith(".")} == {"leaderboard.csv", "submissions"}
    assert not (installed / "leaderboard" / "leaderboard.csv").exists()
    assert not (installed / "submission" / "out").exists()


def test_the_shipped_board_and_weights_are_found(installed: Path, tmp_path: Path) -> None:
    code = (
        "from leaderboard import SHIPPED, read; assert any(row.name == 'monster' for row in read(SHIPPED));"
        "from baselines import registry; from submission import Competition, paths; c = Competition.load('bestiary');"
        "print(paths.checkout(), paths.data_home(), [n for n, m in registry.MODELS.items()"
        " if any(there is None for _, there in registry.files(m, c))])"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed), "XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path)}
    environment.pop("DRAWOFF_DATA", None)
    words = [sys.executable, "-P", "-c", code]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    checkout, data, missing = done.stdout.split(maxsplit=2)
    assert checkout == "None"
    assert Path(data).is_relative_to(tmp_path)
    assert missing.strip() == "['nearest']"  # which copies training images, and those are drawn
