"""A competition is one folder: in a copy of the project, adding it is all that its data, check and score need."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from project_copy import project_copy, run

TOML = """
[competition]
name = "discs"
prompts = "{data}/test.json"
references = "{data}/references"
image_size = 64
gate = "easy"
[backbones]
inception = "bestiary"
clip = "bestiary"
[[tiers]]
name = "easy"
psnr = 4.0
"""
PREPARE = '''
"""python -m competitions.discs.prepare: draw discs of 12 colours."""
import sys

from PIL import Image, ImageDraw

from submission import Competition, atomic
from submission.errors import run
from submission.images import image_bytes


def main(argv: list[str] | None = None) -> int:
    data = Competition.load("discs").data
    (data / "references").mkdir(parents=True, exist_ok=True)
    prompts = {}
    for k in range(12):
        image = Image.new("RGB", (64, 64), "white")
        ImageDraw.Draw(image).ellipse((8, 8, 55, 55), fill=(20 * k, 250 - 20 * k, 128))
        image.save(data / "references" / f"{k}.png")
        prompts[str(k)] = {"image_name": f"{k}.png", "text_prompt": f"A disc of colour {k}."}
    atomic.write_json(data / "test.json", prompts)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project with the competition `discs` in it."""
    root = project_copy(tmp_path / "project", "submission", "competitions", "leaderboard")
    (root / "competitions" / "discs").mkdir()
    for name, text in (("competition.toml", TOML), ("prepare.py", PREPARE)):
        (root / "competitions" / "discs" / name).write_text(text, encoding="utf-8")
    return root


def test_one_folder_is_all(project: Path) -> None:
    run(project, "targets.py", "data", COMPETITION="discs")
    assert "here      references" in run(project, "-m", "submission", "data", "--competition", "discs")
    assert "noise" in run(project, "targets.py", "score", COMPETITION="discs", MODEL="noise")
    checked = run(project, "-m", "submission", "check", "submission/out/discs/noise", "--competition", "discs")
    assert "ok: " in checked
    with (project / "leaderboard" / "leaderboard.csv").open(encoding="utf-8", newline="") as board:
        (row,) = csv.DictReader(board)
    assert (row["competition"], row["name"], row["n"]) == ("discs", "noise", "12")
