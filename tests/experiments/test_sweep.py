"""The sweep of guidance scales: what it draws, what it keeps, what it writes."""

from __future__ import annotations

import csv
import io
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import scorer
from baselines import registry
from experiments import sweep
from submission import Competition, Scorecard, Submission
from submission.errors import UsageError
from submission.scorecard import Score


class Constant:
    """Draws one grey, the lighter the higher the scale."""

    batch_size = 4
    settings: dict[str, object]

    def __init__(self, competition: Competition, device: str, guidance_scale: float, steps: int = 1) -> None:
        self.settings, self.level = {"guidance_scale": guidance_scale, "steps": steps}, int(guidance_scale * 20)

    def generate(self, prompts: list[str], seeds: list[int]) -> np.ndarray:
        return np.full((len(prompts), 64, 64, 3), self.level, np.uint8)


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Models "grey" and "grey-clip"; a scorecard has numbers of the grey; what was scored, in order."""
    module = types.ModuleType("grey_model")
    module.load = Constant  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "grey_model", module)
    for name in ("grey", "grey-clip"):
        model = registry.Model("grey_model", "grey", options=("weights", "steps", "guidance_scale"))
        monkeypatch.setitem(registry.MODELS, name, model)
    folders: list[str] = []

    def score(drawn: Submission, competition: Competition, device: str, *, limit: int | None, extra: bool) -> Scorecard:
        folders.append(drawn.path.name)
        level = float(drawn.read(competition.prompts[0].image_name)[1].mean())
        scores = {name: Score(level + index) for index, name in enumerate(sweep.METRICS)}
        assert extra
        more = {"precision": Score(0.5), "recall": Score(0.25)}
        return Scorecard("tiny", drawn.sha256, "grey", 2, scores, [], {}, extra=more)

    monkeypatch.setattr(scorer, "score", score)
    return folders


@pytest.fixture
def run(tiny_competition: Callable[..., Competition], tmp_path: Path) -> Callable[..., list[dict[str, str]]]:
    """`run(*arguments)` sweeps "grey" and returns the rows of the CSV."""
    competition = tiny_competition(2)

    def sweep_it(*arguments: str) -> list[dict[str, str]]:
        out = tmp_path / "sweep"
        common = ["grey", "--competition", str(competition.root), "--out", str(out), "--device", "cpu"]
        assert sweep.main([*common, *arguments]) == 0
        return list(csv.DictReader(io.StringIO((out / "sweep.csv").read_text())))

    return sweep_it


def test_every_scale_of_both_guidances_is_a_row(scored: list[str], run: Callable, tmp_path: Path) -> None:
    rows = run("--guidance", "3", "1.5")
    assert [(row["model"], row["guidance_scale"]) for row in rows] == [
        ("grey", "1.5"),
        ("grey", "3"),
        ("grey-clip", "1.5"),
        ("grey-clip", "3"),
    ]
    assert [row["fid"] for row in rows] == ["30", "60", "30", "60"]
    assert {(row["precision"], row["recall"]) for row in rows} == {("0.5", "0.25")}
    assert rows[0]["clip_t"] == "31"
    assert rows[0]["own_clip"] == ""  # that column is GLIDE's
    assert rows[0]["n"] == "2"
    with Image.open(tmp_path / "sweep" / "sweep.png") as picture:
        assert picture.size == (2100, 630)
        assert np.asarray(picture.convert("RGB")).std() > 10


def test_what_is_done_is_not_done_again(scored: list[str], run: Callable, tmp_path: Path) -> None:
    first = run("--guidance", "1")
    assert scored == ["grey-1", "grey-clip-1"]
    assert run("--guidance", "1", "2")[::2] == first
    assert scored == ["grey-1", "grey-clip-1", "grey-2", "grey-clip-2"]
    # Other images under the old scorecard's name are scored again.
    run("--guidance", "1", "--steps", "5", "--overwrite")
    card = tmp_path / "sweep" / "scorecards" / "grey-1.json"
    other = Scorecard.from_json(card.read_text())
    card.write_text(card.read_text().replace(other.submission, "0" * 64))
    run("--guidance", "1", "--steps", "5")
    assert scored[-1] == "grey-1"


def test_other_settings_are_refused(scored: list[str], run: Callable) -> None:
    run("--guidance", "1")
    with pytest.raises(UsageError, match="steps"):
        run("--guidance", "1", "--steps", "5")


def test_a_model_without_guidance_is_refused() -> None:
    with pytest.raises(UsageError, match="noise has no --guidance-scale to sweep"):
        registry.guided("noise")
    with pytest.raises(UsageError, match="did you mean 'glide'"):
        registry.guided("glid")
    assert registry.guided("glide") == ["glide", "glide-clip"]
    assert registry.guided("monster") == ["monster"]
