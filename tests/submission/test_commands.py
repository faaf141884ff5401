"""Commands in messages work when they are pasted."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from submission import commands, paths

ROOT = Path(__file__).resolve().parents[2]
ROOMS = paths.ROOMS


@pytest.fixture
def anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a space in its name, where no python is on the way."""
    folder = tmp_path / "a b"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", os.defpath)
    return folder


def pasted(command: str) -> str:
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout


def test_it_is_this_interpreter_wherever_one_is(anywhere: Path) -> None:
    assert pasted(commands.module("timeit --help")).startswith("Tool for measuring execution time")
    assert pasted(f"{commands.python()} -c 'import sys; print(sys.prefix)'").strip() == sys.prefix


def test_it_is_short_where_it_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = tmp_path / ".venv" / "bin" / "python3"
    interpreter.parent.mkdir(parents=True)
    interpreter.symlink_to(sys.executable)
    (interpreter.parent / "python").symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    assert commands.module("scorer") == ".venv/bin/python3 -P -m scorer"
    assert commands.script("hf") == ".venv/bin/hf"
    monkeypatch.chdir(interpreter.parent)
    assert commands.module("scorer") == "./python3 -P -m scorer"
    monkeypatch.setenv("PATH", str(interpreter.parent))  # as an activated environment has it
    assert commands.module("scorer") == "python3 -P -m scorer"
    monkeypatch.chdir(ROOT)  # whose modules are ours
    assert commands.module("scorer") == "python3 -m scorer"


def test_make_is_said_where_there_is_a_makefile(anywhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "make: Nothing" in pasted(commands.make("Makefile", "scorer")) or commands.make("x", "y").startswith(
        "make -C"
    )
    monkeypatch.chdir(ROOT)
    assert commands.data("bestiary") == "make data COMPETITION=bestiary"
    monkeypatch.setattr(paths, "checkout", lambda: None)
    assert commands.data("bestiary").endswith(" -m competitions.bestiary.prepare")
    assert commands.data("brainrot").endswith(" -m submission data --competition brainrot")
    assert commands.install(["diffusers", "transformers"]).endswith(" -m pip install diffusers transformers")


@pytest.mark.parametrize("text", ["my_images", "../runs/a-1/v1.5", "/abs/x_y", ".hidden"])
def test_a_plain_name_stands_in_a_command(text: str) -> None:
    assert commands.named(Path(text), "DIR") == text


@pytest.mark.parametrize(
    "text", ["a b", "-rf", "$(touch x)", "x;y", "`x`", "x'y", "x\ny", "é", "", "x" * 300, "~/x", "a*"]
)
def test_what_could_be_more_than_a_name_does_not(text: str) -> None:
    assert commands.named(text, "DIR") == "DIR"


def told(file: Path) -> list[str]:
    """The texts in a file that may be printed: no docstrings, and not the name of a command in its own help."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    silent = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    silent |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "prog"}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_no_message_says_a_command_that_may_not_work(room: str) -> None:
    words = "|".join(re.findall(r"^(\w+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    wrong = re.compile(rf"python -m |\.venv/bin|^pip install| pip install|\bmake ({words})\b")
    found = {
        f"{file.relative_to(ROOT)}: {text}"
        for file in (ROOT / room).rglob("*.py")
        if file != Path(commands.__file__) and (ROOT / "submission" / "out") not in file.parents
        for text in told(file)
        if wrong.search(text)
    }
    assert found == set()
