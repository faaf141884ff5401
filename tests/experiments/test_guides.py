"""The comparison of guides: one row each, from what is drawn and what the scorer says of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import scorer
from baselines import registry
from experiments import guides
from submission import Competition, Scorecard, Submission
from submission.errors import UsageError
from submission.scorecard import Score


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Noise in place of clip-guided's model, with its options as settings; the folders that were scored, in order."""

    class Noise:
        batch_size = 2

        def __init__(self, competition: Competition, hardware: object, **options: object) -> None:
            self.settings = {"guidance_scale": 2.5, **options} if options["guide"] != "none" else options

        def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
            return np.stack([np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8) for seed in seeds])

    from baselines.clip_guided import pipeline

    monkeypatch.setattr(pipeline, "ClipGuided", Noise)
    model = registry.MODELS["clip-guided"]
    monkeypatch.setitem(registry.MODELS, "clip-guided", replace(model, files=()))
    folders: list[str] = []

    def score(drawn: Submission, competition: Competition, device: str, *, limit: int | None, extra: bool) -> Scorecard:
        folders.append(drawn.path.name)
        scores = {"clip_t": Score(0.31234), "fid": Score(None)}
        return Scorecard("tiny", drawn.sha256, "noise", limit or 2, scores, [], {}, accuracy={"body": 0.5})

    monkeypatch.setattr(scorer, "score", score)
    return folders


def test_every_guide_is_a_row(
    scored: list[str],
    tmp_path: Path,
    tiny_competition: Callable[..., Competition],
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--competition", str(tiny_competition(n=3).root), "--out", str(tmp_path / "out"), "--limit", "2"]
    guides.main([*arguments, "--device", "cpu"])
    printed = capsys.readouterr().out
    assert printed.splitlines() == [
        "| guide | scale | n | fid | clip_i | clip_t | body |",
        "|---|---|---|---|---|---|---|",
        "| none | – | 2 | – | – | 0.3123 | 0.5 |",
        "| pretrained | 2.5 | 2 | – | – | 0.3123 | 0.5 |",
        "| finetuned | 2.5 | 2 | – | – | 0.3123 | 0.5 |",
        "| noised | 2.5 | 2 | – | – | 0.3123 | 0.5 |",
        "| noised-colours | 2.5 | 2 | – | – | 0.3123 | 0.5 |",
    ]
    study = tmp_path / "out" / "tiny"
    assert (study / "table.md").read_text() == printed
    drawings = [path.name for path in (study / "drawings").iterdir()]
    assert sorted(drawings) == sorted(path.stem for path in (study / "scorecards").iterdir())
    assert len(list((study / "drawings" / "none-first-2").glob("*.png"))) == 2
    guides.main([*arguments, "--device", "cpu"])
    assert len(scored) == 5, "what is scored is not scored again"


def test_each_scale_is_a_row_and_a_folder(
    scored: list[str], tmp_path: Path, tiny_competition: Callable[..., Competition]
) -> None:
    arguments = [
        "--guides",
        "none",
        "noised",
        "--guidance-scale",
        "1",
        "4",
        "--guidance-form",
        "raw",
        "--device",
        "cpu",
    ]
    guides.main(
        ["--competition", str(tiny_competition(n=2).root), "--out", str(tmp_path), "--device", "cpu", *arguments]
    )
    assert scored == ["none", "noised-raw-1", "noised-raw-4"]


def test_a_limit_of_less_than_one_is_refused(tmp_path: Path, tiny_competition: Callable[..., Competition]) -> None:
    arguments = ["--competition", str(tiny_competition(n=2).root), "--limit", "-1", "--guides", "none"]
    with pytest.raises(UsageError, match="the limit -1 is not at least 1"):
        guides.main([*arguments, "--device", "cpu", "--out", str(tmp_path)])


def test_the_comparison_is_a_command() -> None:
    ended = subprocess.run([sys.executable, "-m", "experiments.guides", "--help"], capture_output=True, text=True)
    assert ended.returncode == 0
    assert "--guides" in ended.stdout
