"""A participant's generator whose pixels show everything that could go wrong, and a small training set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from accelerate.state import AcceleratorState, GradientState
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]

# The pixels depend on prompt and seed, as they may, and on the size of the batch, as those of a real kernel do.
MODEL = """
import hashlib
import os
import time
import numpy as np

class Model:
    batch_size = 4
    settings = {"sampler": "hash"}
    size = 64
    batches, waits_after, until = 0, None, None  # after so many batches it waits until there is the file `until`

    def generate(self, prompts, seeds):
        while self.batches == self.waits_after and not os.path.exists(self.until):
            time.sleep(0.01)
        self.batches += 1
        return np.stack([self.one(f"{prompt}/{seed}/{len(prompts)}") for prompt, seed in zip(prompts, seeds)])

    def one(self, text):
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        return np.random.default_rng(seed).integers(0, 256, (self.size, self.size, 3), np.uint8)
"""


@pytest.fixture
def model_file(tmp_path: Path) -> Callable[..., str]:
    """`model_file(body)` writes a file with the generator above and `body` after it; returns `path:Model`."""

    def make(body: str = "", name: str = "Model") -> str:
        path = tmp_path / "my_model.py"
        path.write_text(MODEL + body, encoding="utf-8")
        return f"{path}:{name}"

    return make


@pytest.fixture
def one_picture(tmp_path: Path) -> Callable[..., Path]:
    """`one_picture(size=64)`: the folder of a training set of one red picture, and its caption in a CSV."""

    def make(size: int = 64) -> Path:
        folder = tmp_path / f"one-{size}"
        folder.mkdir()
        Image.new("RGB", (size, size), "red").save(folder / "red.png")
        (folder / "train.csv").write_text("id,prompt\nred,All red.\n", encoding="utf-8")
        return folder

    return make


@pytest.fixture
def command(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., subprocess.Popen[str]]:
    """`command(*arguments)` starts `python -m baselines` and returns the running process."""

    def begin(*arguments: object, **variables: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "baselines", *map(str, arguments)]
        return start(words, cwd=ROOT, env={**os.environ, **variables})

    return begin


@pytest.fixture
def training_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of the competition "tiny": two monsters, three entries, gaps in the frames; an empty cache."""
    monkeypatch.setenv("DRAWOFF_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("DRAWOFF_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "data" / "tiny"
    (folder / "train").mkdir(parents=True)
    attacking = "The monster is attacking."
    info = {
        "0_main": entry(["Red slime.", "Crimson slime with horns.", "Slime in red."], ""),
        "0_attack1": entry(["Red slime.", "Red slime with horns.", "A red blob."], attacking),
        "1_main": entry(["Blue bat.", "Azure bat with wings.", "Bat in blue."], ""),
    }
    (folder / "train_info.json").write_text(json.dumps(info), encoding="utf-8")
    for index, name in enumerate(["0_main_0", "0_main_10", "0_main_2", "0_attack1_5", "1_main_3"]):
        Image.new("RGB", (64, 64), (index * 20, 0, 255 - index)).save(folder / "train" / f"{name}.png")
    return folder


def entry(descriptions: list[str], action: str) -> dict[str, object]:
    return {
        "original_name": "x",
        "given_description": descriptions,
        "action_description": action,
        "num_frames": 9,
    }


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a submission but the lock."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def read_all() -> Callable[[Path], dict[str, bytes]]:
    return contents


@pytest.fixture
def pixels() -> Callable[[Path], np.ndarray]:
    return lambda path: np.asarray(Image.open(path))


@pytest.fixture(autouse=True)
def fresh_accelerator() -> Iterator[None]:
    """An Accelerator's settings are the process's: one test's precision would be the next one's error."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
