"""A folder is complete only while its model, with all that it imports and is set to, would draw the same again."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from baselines.__main__ import main
from submission import Competition, Manifest
from submission.errors import run

MODEL = """
import json
from pathlib import Path

import numpy as np

from palette_of_this_test import colour
import tints_of_this_test.light


class MyModel:
    def __init__(self):
        self.settings = json.loads(Path(__file__).with_name("settings.json").read_text())

    def generate(self, prompts, seeds):
        return np.full((len(prompts), 64, 64, 3), colour + self.settings["offset"], np.uint8)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mine"
    (folder / "tints_of_this_test").mkdir(parents=True)
    (folder / "my_model.py").write_text(MODEL)
    (folder / "palette_of_this_test.py").write_text("colour = 100")
    (folder / "tints_of_this_test" / "light.py").write_text("")
    (folder / "unrelated.py").write_text("")
    (folder / "settings.json").write_text('{"offset": 1}')
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("palette_of_this_test", "tints_of_this_test", "tints_of_this_test.light"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return folder


@pytest.fixture
def draw(folder: Path, tiny_competition: Callable[..., Competition], tmp_path: Path) -> Callable[[], int]:
    competition = tiny_competition(4)

    def run_draw() -> int:
        model = f"{folder / 'my_model.py'}:MyModel"
        command = [model, "--competition", str(competition.root), "--out", str(tmp_path / "drawn")]
        return run(main, command)

    return run_draw


def test_the_manifest_has_what_was_imported_from_the_folder(draw, tmp_path: Path) -> None:
    assert draw() == 0
    manifest = Manifest.parse((tmp_path / "drawn" / "submission.json").read_bytes())
    assert set(manifest.weights) == {"my_model.py", "palette_of_this_test.py", "tints_of_this_test/light.py"}


def test_nothing_changed_and_nothing_is_drawn(draw, folder: Path, tmp_path: Path, capsys) -> None:
    assert draw() == 0
    before = {file.name: file.read_bytes() for file in (tmp_path / "drawn").iterdir()}
    (folder / "unrelated.py").write_text("changed = True")
    assert draw() == 0
    assert "already complete" in capsys.readouterr().out
    assert {file.name: file.read_bytes() for file in (tmp_path / "drawn").iterdir()} == before


@pytest.mark.parametrize(
    ("file", "becomes"),
    [
        ("my_model.py", MODEL + "\n# another model\n"),
        ("palette_of_this_test.py", "colour = 101"),
        ("tints_of_this_test/light.py", "# another tint"),
        ("settings.json", json.dumps({"offset": 2})),
    ],
)
def test_anything_changed_and_the_folder_is_refused(draw, folder: Path, capsys, file: str, becomes: str) -> None:
    assert draw() == 0
    (folder / file).write_text(becomes)
    assert draw() == 2
    assert ("offset" if file == "settings.json" else file) in capsys.readouterr().err
