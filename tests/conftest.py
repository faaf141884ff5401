"""Fixtures for all rooms: a competition of a few images, and a valid submission to it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
from PIL import Image
from tiny_competition import picture, toml

from submission import Competition, Manifest, SubmissionWriter

pytest_plugins = ("costs",)

_COLOURS = ("red", "green", "blue", "yellow")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A file as a parameter is called by its argument's name and its place, not by its bytes.

    Some hold the second in which they were made, and several processes must give a test the same name.
    """
    return argname if isinstance(val, bytes | str) and len(val) > 100 else None


@pytest.fixture
def tiny_competition(tmp_path: Path) -> Callable[..., Competition]:
    """`tiny_competition(n=8)` makes a competition of n 64-pixel images in tmp_path and loads it."""

    def make(n: int = 8) -> Competition:
        root = tmp_path / "tiny"
        (root / "references").mkdir(parents=True)
        entries = {}
        for index in range(n):
            name = f"{index}_main.png"
            description = f"A {_COLOURS[index % 4]} slime number {index}."
            entries[f"{index}_main"] = {
                "image_name": name,
                "given_description": description,
                "action_description": "",
                "text_prompt": description,
            }
            Image.fromarray(picture(index)).save(root / "references" / name)
        (root / "test.json").write_text(json.dumps(entries), encoding="utf-8")
        (root / "competition.toml").write_text(
            toml(title="A tiny competition", references="references", image_size=64), encoding="utf-8"
        )
        return Competition.load(root)

    return make


@pytest.fixture
def tiny_submission(tmp_path: Path) -> Callable[..., Path]:
    """`tiny_submission(competition)` writes a valid submission with a manifest and returns its folder."""

    def make(competition: Competition, seed: int = 1000, name: str = "drawn") -> Path:
        manifest = Manifest(competition=competition.name, model="blobs", seed=seed, settings={"steps": 1})
        writer = SubmissionWriter(tmp_path / name, competition, manifest)
        for index, prompt in enumerate(competition.prompts):
            writer.write(prompt.image_name, picture(seed + index))
        assert writer.finish()
        return tmp_path / name

    return make


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test that hands in what the annotations forbid: the function refuses it itself, or takes a double."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`start(command, **options)`: a Popen that gives text. What still runs when the test ends or fails is killed.

    Left to itself it would be the warning, and so the error, of a later test. No test has a time limit: how fast a
    machine is says nothing about the code, and pyproject.toml has pytest say where one hangs.
    """
    started: list[subprocess.Popen[str]] = []

    def begin(command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, **{**pipes, **options}))
        return started[-1]

    yield begin
    for process in started:
        with process:  # closes its pipes and waits for it
            if process.poll() is None:
                process.kill()


@pytest.fixture
def foreign_lines() -> Callable[[str], list[str]]:
    """`foreign_lines(stderr)`: what is no progress of ours (`drawing with noise: 3 of 8, …`), others' bars included."""
    ours = re.compile(r"[a-z].*: \d+( of \d+)?(, .*| in .*)?")
    return lambda stderr: [line for line in re.split(r"[\r\n]+", stderr) if line and not ours.fullmatch(line)]
