"""A generator is its folder and a row of the registry: in a copy of the project, it is listed, draws and is trained."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from project_copy import ROOT, project_copy, run

from baselines.registry import MODELS

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
    root = project_copy(tmp_path / "project", "submission", "baselines", without=("weights", "samples"))
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
    (project / "data" / "bestiary").mkdir(parents=True)  # the training set, which nothing here reads
    (project / "data" / "bestiary" / "train_info.json").write_text("{}", encoding="utf-8")
    (row,) = [
        line for line in run(project, "-m", "baselines", "--list").splitlines() if line.split()[:1] == ["stripes"]
    ]
    assert "no baselines/weights/stripes.json" in row
    assert "stripes, as many as asked for" in row
    assert "stripes" in run(project, "drawoff.py")
    run(project, "drawoff.py", "train", "stripes")
    assert run(project, "targets.py", "submission", MODEL="stripes", LIMIT="3").count("3 drawn now") == 1
    manifest = json.loads((project / "submission" / "out" / "bestiary" / "stripes" / "submission.json").read_bytes())
    assert (manifest["model"], manifest["settings"]["steps"]) == ("stripes", 8)
    run(project, "-m", "baselines", "stripes", "--steps", "2", "--limit", "1", "--out", "two")
    assert json.loads((project / "two" / "submission.json").read_bytes())["settings"]["steps"] == 2


def imported_by(file: Path) -> set[str]:
    """The modules that a file names in its imports, wherever these stand."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_no_model_imports_anothers_folder() -> None:
    folders = {model.target.split(".")[1] for model in MODELS.values()}
    assert len(folders) > 5
    for folder in folders:
        others = tuple(f"baselines.{other}." for other in folders - {folder})
        for file in (ROOT / "baselines" / folder).rglob("*.py"):
            assert not {name for name in imported_by(file) if f"{name}.".startswith(others)}, file
