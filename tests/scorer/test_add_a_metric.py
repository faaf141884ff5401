"""A seventh metric, added as anyone would: its row and its file, and everything else derives from them."""

from __future__ import annotations

import csv
import filecmp
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from project_copy import ROOT, project_copy, run

ROW = '        Metric("ssim",'
FILE = '''"""The mean squared error of each image against its reference, averaged over images."""

from __future__ import annotations

from torch import Tensor

from scorer.metrics.base import PerPair


class MeanSquaredError(PerPair):
    """The mean squared error of pixels in [0, 1]."""

    names = ("mse",)

    @staticmethod
    def each(images: Tensor, references: Tensor) -> Tensor:
        """The error of each pair."""
        return (images.double() - references.double()).div(255).square().mean(dim=(1, 2, 3))
'''


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the rooms with a seventh metric."""
    copy = project_copy(tmp_path / "tree", "submission", "scorer", "leaderboard")
    rows = copy / "submission" / "metrics.py"
    row = '        Metric("mse", "MSE", higher_is_better=False, digits=4, low=0, high=1),\n'
    text = rows.read_text()
    assert text.count(ROW) == 1
    rows.write_text(text.replace(ROW, row + ROW))
    (copy / "scorer" / "metrics" / "mean_squared_error.py").write_text(FILE)
    return copy


def changed(here: Path, there: Path) -> list[str]:
    """The files of `there` that are not those of `here`."""
    files = [path.relative_to(there) for path in sorted(there.rglob("*.py")) if path.is_file()]
    return [str(f) for f in files if not (here / f).is_file() or not filecmp.cmp(here / f, there / f, shallow=False)]


@pytest.mark.slow
def test_a_row_and_a_file_are_enough(
    tree: Path, tmp_path: Path, tiny_competition: Callable, tiny_submission: Callable
) -> None:
    assert changed(ROOT, tree) == ["scorer/metrics/mean_squared_error.py", "submission/metrics.py"]

    competition = tiny_competition(12)
    entry = tiny_submission(competition)
    toml = competition.root / "competition.toml"
    judged = '[[tiers]]\nname = "baseline"\nmark = 80\nmse = 0.5\n[marks]\nmse = 1\n[rules.bounds]\nmse = [0, 0.5]\n'
    toml.write_text(toml.read_text().split("[[tiers]]")[0] + judged)
    card_file, per_image = tmp_path / "card.json", tmp_path / "images.csv"
    scored = ("-m", "scorer", str(entry), "--competition", str(toml), "--json", str(card_file), "--csv", str(per_image))
    printed = run(tree, *scored)
    assert "MSE ↓" in printed
    card = json.loads(card_file.read_text())
    assert list(card["scores"])[-2:] == ["mse", "ssim"]
    score = card["scores"]["mse"]
    images = list(csv.DictReader(per_image.read_text().splitlines()))
    assert sum(float(image["mse"]) for image in images) / 12 == pytest.approx(score["value"], abs=1e-6)
    assert 0 < score["low"] < score["value"] < score["high"]
    assert (card["tiers"][0]["passed"], card["mark"]["value"]) == (True, 80.0)
    assert [rule["passed"] for rule in card["suspicions"]["rules"] if rule["rule"] == "bounds.mse"] == [True]

    shown = run(tree, "-m", "leaderboard", "show")  # with the shipped rows, which know six
    assert "MSE" in shown
    assert f"{score['value']:.4f}" in shown
    assert "monster" in shown
