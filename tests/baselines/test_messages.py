"""What drawing prints: every shipped model, as a command and from Python, without a word of the libraries below it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from baselines.monster import train_text_encoder
from baselines.registry import MODELS
from submission.errors import run
from submission.paths import repo_root

# One process for all of them: importing torch, diffusers and transformers takes longer than drawing.
DRAW = """
import sys
from baselines.diffusion import batches
from baselines.__main__ import main
from submission.errors import run

whole = batches.in_fixed_batches  # filling each batch up to 32 images says no more
batches.in_fixed_batches = lambda size, *rest: whole(size and 1, *rest)

for model in sys.argv[2:]:
    steps = ["--steps", "1"] if model not in ("noise", "mean-image", "nearest") else []
    arguments = ["--limit", "1", "--batch-size", "1", "--device", "cpu", "--out", sys.argv[1] + model]
    code = run(main, [model, *steps, *arguments])
    assert code == 0, model

import baselines
from submission import Competition
from transformers.utils import logging

bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
print("from Python", file=sys.stderr, flush=True)
baselines.load("monster", Competition.load("bestiary"), "cpu")
assert (bars, verbosity) == (True, logging.WARNING) == (logging.is_progress_bar_enabled(), logging.get_verbosity())
"""
SHIPPED = [model for model in MODELS if model != "nearest"]  # that one reads the training set, which is not shipped


def test_drawing_with_each_shipped_model_says_our_lines_only(tmp_path: Path) -> None:
    asked = re.compile(r"PYTHONWARNINGS|RANK|\w+_VERBOSITY")  # by who runs the tests
    environment = {name: value for name, value in os.environ.items() if not asked.fullmatch(name)}
    done = subprocess.run(
        [sys.executable, "-c", DRAW, f"{tmp_path}/", *SHIPPED],
        cwd=repo_root(), env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    drawing, loading = done.stderr.split("from Python\n")
    lines = [re.sub(r"in .*", "in …", line) for line in re.split(r"[\r\n]+", drawing) if line]
    assert lines == [f"drawing with {model}: {line}" for model in SHIPPED for line in ("0 of 1", "1 of 1 in …")]
    assert loading == ""


def test_a_training_says_our_lines_only(
    training_set: Path,
    tmp_path: Path,
    foreign_lines: Callable,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It saves a model with transformers, which has a bar for that too."""
    monkeypatch.setattr("baselines.training.words.RARE", 1)  # of nine captions every word is
    words = ["--data", str(training_set), "--out", str(tmp_path / "run"), "--images", "4", "--batch-size", "2"]
    assert run(train_text_encoder.main, words) == 0
    said = capsys.readouterr()
    assert foreign_lines(said.err) == []
    assert "training run: 4 of 4 in" in said.err
    assert said.out == f"{tmp_path / 'run' / 'model'}\n"


BREAKS = """
import logging
import warnings

class Library(Model):
    def generate(self, prompts, seeds):
        warnings.warn("the shutter is worn", stacklevel=1)
        logging.getLogger("camera").warning("low battery")
        if "number 1" in prompts[0]:
            raise RuntimeError("the shutter is stuck")
        return super().generate(prompts, seeds)

    batch_size = 1
"""


def test_what_a_participants_own_code_says_is_shown_and_so_are_errors(
    tiny_competition: Callable, model_file: Callable, tmp_path: Path, command: Callable
) -> None:
    model = model_file(BREAKS, "Library")
    drawing = command(model, "--competition", tiny_competition(2).root, "--out", tmp_path / "out")
    _, said = drawing.communicate()
    assert drawing.returncode == 4
    assert said.count("low battery") == 2
    assert "UserWarning: the shutter is worn" in said
    assert "drawing with my_model.py:Library: stopped at 1 of 2 after" in said
    assert "error: my_model.py:Library failed on 1_main.png: RuntimeError: the shutter is stuck" in said
