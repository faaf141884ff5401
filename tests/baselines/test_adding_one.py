"""A generator is its folder and a row of the registry: in a copy of the project, it is listed, draws and is trained."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = """    "stripes": Model(
        "baselines.stripes.pipeline",
        "stripes, as many as asked for",
        options=("steps",),
        files=("{weights}/stripes.json",),
        trainer="baselines.stripes.train",
    ),
"""
PIPELINE = """
import json

import numpy as np

from baselines.pretrained import WEIGHTS


class Stripes:
    def __init__(self, steps: int) -> None:
        self.settings = {"steps": steps}

    def generate(self, prompts, seeds):
        rows = np.arange(64) * self.settings["steps"] // 64 % 2 * 255
        return np.broadcast_to(rows[None, :, None, None], (len(prompts), 64, 64, 3)).astype(np.uint8)


def load(competition, hardware, *, steps=None):
    return Stripes(steps or json.loads((WEIGHTS / "stripes.json").read_text())["steps"])
"""
TRAIN = """
from baselines.pretrained import WEIGHTS


def main(argv=None):
    WEIGHTS.mkdir(exist_ok=True)
    (WEIGHTS / "stripes.json").write_text('{"steps": 8}')
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, without weights, with the generator `stripes` in it."""
    root = tmp_path / "project"
    root.mkdir()
    for room in ("submission", "baselines"):
        made = shutil.ignore_patterns("__pycache__", "out", "weights", "samples")
        shutil.copytree(ROOT / room, root / room, ignore=made)
    for name in ("competitions", "scorer", "leaderboard"):
        (root / name).symlink_to(ROOT / name)
    for name in ("drawoff.py", "targets.py", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    registry = root / "baselines" / "registry.py"
    text = registry.read_text(encoding="utf-8")
    begin = "MODELS: dict[str, Model] = {\n"
    assert text.count(begin) == 1
    registry.write_text(text.replace(begin, begin + ROW), encoding="utf-8")
    folder = root / "baselines" / "stripes"
    folder.mkdir()
    for name, source in (("__init__.py", ""), ("pipeline.py", PIPELINE), ("train.py", TRAIN)):
        (folder / name).write_text(source, encoding="utf-8")
    return root


def test_a_folder_and_a_row_are_all(project: Path) -> None:
    environment = {**os.environ, "MODEL": "stripes", "DEVICE": "cpu", "COLUMNS": "200", "LIMIT": "3"}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(project), "DRAWOFF_DATA": str(project / "data")}
    (project / "data" / "bestiary").mkdir(parents=True)  # the training set, which nothing here reads
    (project / "data" / "bestiary" / "train_info.json").write_text("{}", encoding="utf-8")

    def run(*words: str) -> str:
        done = subprocess.run([sys.executable, *words], cwd=project, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    (row,) = [line for line in run("-m", "baselines", "--list").splitlines() if line.split()[:1] == ["stripes"]]
    assert "no baselines/weights/stripes.json" in row
    assert "stripes, as many as asked for" in row
    assert "stripes" in run("drawoff.py")
    run("drawoff.py", "train", "stripes")
    assert run("targets.py", "submission").count("3 drawn now") == 1
    manifest = json.loads((project / "submission" / "out" / "bestiary" / "stripes" / "submission.json").read_bytes())
    assert (manifest["model"], manifest["settings"]["steps"]) == ("stripes", 8)
    run("-m", "baselines", "stripes", "--steps", "2", "--limit", "1", "--out", "two")
    assert json.loads((project / "two" / "submission.json").read_bytes())["settings"]["steps"] == 2
