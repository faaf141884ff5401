"""The frontier of steps: what is drawn with which options, how passes are counted, what is written."""

from __future__ import annotations

import csv
import io
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import scorer
from baselines import registry
from experiments import frontier
from submission import Competition, Scorecard, Submission
from submission.errors import UsageError
from submission.scorecard import Score


class Grey:
    """Draws one grey, the lighter the more steps; as a monster, a student unless it is asked for steps."""

    batch_size = 2

    def __init__(
        self, competition: Competition, device: str, weights: str | None = None, steps: int | None = None
    ) -> None:
        sampler = "dpmsolver++ 2M" if steps else "ddim, distilled"
        steps = steps or json.loads((Path(weights or "") / "sampling.json").read_text())["distilled_steps"]
        self.settings = {"steps": steps, "guidance_scale": 2.5, "sampler": sampler}

    def generate(self, prompts: list[str], seeds: list[int]) -> np.ndarray:
        return np.full((len(prompts), 64, 64, 3), self.settings["steps"], np.uint8)


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, tiny_competition: Callable[..., Competition], tmp_path: Path
) -> Callable[..., list[dict[str, str]]]:
    """`run(*arguments)` returns the rows of the CSV; the scorer's FID is 100 by the grey, and nothing else is known."""
    module = types.ModuleType("grey_monster")
    module.load = Grey  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "grey_monster", module)
    model = registry.Model("grey_monster", "grey", options=("weights", "steps", "guidance_scale"))
    monkeypatch.setitem(registry.MODELS, "monster", model)

    def score(drawn: Submission, competition: Competition, device: str, *, limit: int | None, extra: bool) -> Scorecard:
        fid = 100 / float(drawn.read(competition.prompts[0].image_name)[1].mean())
        scores = {name: Score(0.5) for name in frontier.METRICS} | {"fid": Score(fid, 0.9 * fid, 1.1 * fid)}
        return Scorecard("tiny", drawn.sha256, "grey", 2, scores, [], {})

    monkeypatch.setattr(scorer, "score", score)
    competition = tiny_competition(2)

    def main(*arguments: str) -> list[dict[str, str]]:
        out = tmp_path / "frontier"
        common = ["--competition", str(competition.root), "--out", str(out), "--device", "cpu"]
        assert frontier.main([*common, *arguments]) == 0
        return list(csv.DictReader(io.StringIO((out / "frontier.csv").read_text())))

    return main


def student(folder: Path, steps: int | None) -> str:
    folder.mkdir()
    (folder / "sampling.json").write_text(json.dumps({"steps": 20} | ({"distilled_steps": steps} if steps else {})))
    return str(folder)


def test_steps_of_the_teacher_are_two_passes_and_of_a_student_one(run: Callable, tmp_path: Path) -> None:
    students = [student(tmp_path / name, steps) for name, steps in (("a", 4), ("b", 2))]
    rows = run("--steps", "10", "20", "--students", *students)
    assert [(row["curve"], row["steps"], row["passes"], row["fid"]) for row in rows] == [
        ("teacher", "10", "20", "10"),
        ("teacher", "20", "40", "5"),
        ("student", "4", "4", "25"),
        ("student", "2", "2", "50"),
    ]
    assert (rows[0]["fid_low"], rows[0]["fid_high"], rows[0]["clip_t"], rows[0]["n"]) == ("9", "11", "0.5", "2")
    with Image.open(tmp_path / "frontier" / "frontier.png") as picture:
        assert picture.size == (704, 484)
        assert np.asarray(picture.convert("RGB")).std() > 10


def test_a_teacher_without_guidance_has_one_pass_a_step() -> None:
    assert frontier.passes({"steps": 6, "guidance_scale": 1.0, "sampler": "dpmsolver++ 2M"}) == 6


def test_a_folder_without_a_student_is_refused_before_anything_is_drawn(run: Callable, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no student.*baselines\.monster\.distil"):
        run("--students", student(tmp_path / "a", None))
    assert not (tmp_path / "frontier").exists()
