"""No command imports what lies in the folder that it is run in: it may be a stranger's submission."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import targets
from submission import child_process, commands

# Python itself imports these before the first line of a module run with `-m`; `python -P` and `drawoff` do not.
BEFORE_US = {
    "collections", "contextlib", "functools", "importlib", "keyword", "operator", "reprlib", "types", "warnings",
}  # fmt: skip
DRAWOFF = [sys.executable, "-P", "-m", "drawoff"]


@pytest.fixture
def hostile_folder(tmp_path: Path) -> Path:
    """A folder with a module of every name that anything imports, each of which leaves a trace."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    names = set(sys.stdlib_module_names) | {name.partition(".")[0] for name in sys.modules}
    names |= {"PIL", "cleanfid", "cv2", "drawoff_conftest", "numpy", "open_clip", "pydantic", "rich", "sitecustomize"}
    for name in names - {"antigravity", "this", "__main__"}:
        if name.isidentifier():
            text = f"open({str(tmp_path / 'imported')!r}, 'a').write({name!r} + ' ')\nraise SystemExit('hostile')\n"
            (folder / f"{name}.py").write_text(text)
    return folder


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize(
    "words",
    [
        ("validate", ".", "--competition", "bestiary"),
        ("score", ".", "--no-leaderboard"),
        ("sheet", ".", "--competition", "bestiary", "--out", "../sheet.png"),
        ("board",),
        ("pack", ".", "--out", "../a.zip"),
    ],
    ids=lambda words: words[0],
)
def test_the_command_imports_nothing_of_it(hostile_folder: Path, words: tuple[str, ...]) -> None:
    done = _run(hostile_folder, *DRAWOFF, *words)
    assert not (hostile_folder.parent / "imported").exists(), (hostile_folder.parent / "imported").read_text()
    assert done.returncode in (0, 3, 4), done.stderr
    assert "bug" not in done.stderr


@pytest.mark.parametrize("room", ["submission", "leaderboard"])
@pytest.mark.parametrize("safely", [True, False])
def test_a_room_imports_nothing_of_it_either(hostile_folder: Path, room: str, safely: bool) -> None:
    if not safely:
        for name in BEFORE_US | {"submission", "leaderboard"}:
            (hostile_folder / f"{name}.py").unlink(missing_ok=True)
    python = [sys.executable, *["-P"] * safely]
    done = _run(hostile_folder, *python, "-m", room, "check", ".", "--competition", "bestiary")
    assert not (hostile_folder.parent / "imported").exists(), (hostile_folder.parent / "imported").read_text()
    assert done.returncode in (3, 4), done.stderr


@pytest.mark.parametrize("module", ["competitions.coco2014.prepare", "experiments.sweep"])
def test_a_module_of_a_room_without_a_command_imports_nothing_of_it(hostile_folder: Path, module: str) -> None:
    for name in BEFORE_US | {"submission", "competitions", "experiments"}:
        (hostile_folder / f"{name}.py").unlink(missing_ok=True)
    done = _run(hostile_folder, sys.executable, "-m", module, "--help")
    assert not (hostile_folder.parent / "imported").exists(), (hostile_folder.parent / "imported").read_text()
    assert done.returncode == 0, done.stderr


def test_what_the_make_targets_run_imports_nothing_of_it(hostile_folder: Path) -> None:
    (words,) = targets.WORDS["validate"](targets.Variables({"SUBMISSION": "."}))
    done = subprocess.run(words, cwd=hostile_folder, env=child_process.environment(), capture_output=True, text=True)
    assert not (hostile_folder.parent / "imported").exists(), (hostile_folder.parent / "imported").read_text()
    assert done.returncode == 3


def test_what_a_message_says_to_type_there_imports_nothing_of_it(hostile_folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(hostile_folder)
    done = subprocess.run(commands.module("submission --help"), shell=True, capture_output=True, text=True)
    assert not (hostile_folder.parent / "imported").exists(), (hostile_folder.parent / "imported").read_text()
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["validate", "check"])
@pytest.mark.parametrize("folder", [".", "/"])
def test_a_folder_that_is_no_submission_is_refused_plainly(command: str, folder: str, tmp_path: Path) -> None:
    """Files of every kind, and the folder for temporary files, in which the gate keeps the scorer's answer."""
    for name in ("README.md", "a.py", "b.png"):
        (tmp_path / name).touch()
    (tmp_path / "temporary").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    done = subprocess.run(
        [*DRAWOFF, command, folder, "--competition", "bestiary"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert {".": "holds none of the 1063 images", "/": "the root of the file system"}[folder] in done.stderr
    assert "--json" not in done.stderr


def test_the_table_of_commands() -> None:
    import importlib

    import drawoff

    for command in drawoff.COMMANDS.values():
        assert not command.module or callable(importlib.import_module(command.module).main)
    for module in drawoff.trainers().values():
        assert importlib.util.find_spec(module) is not None
    assert all(name in drawoff.usage() for name in [*drawoff.COMMANDS, *drawoff.trainers()])


@pytest.mark.parametrize(("words", "code"), [((), 0), (("--help",), 0), (("nonsense",), 2), (("train",), 2)])
def test_what_is_no_command_is_a_usage_error(words: tuple[str, ...], code: int, tmp_path: Path) -> None:
    done = _run(tmp_path, *DRAWOFF, *words)
    assert done.returncode == code
    assert "score" in done.stdout + done.stderr or "monster" in done.stderr
