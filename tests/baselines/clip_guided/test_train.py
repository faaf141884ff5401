"""All trainings on a folder of labelled pictures, in the small: from a line a folder to a folder that draws."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import baselines
from baselines.clip_guided import train, train_guide
from baselines.clip_guided.train_guide import GuideOptions
from submission import Competition, MissingPart
from submission.errors import UsageError


def test_from_labelled_folders_to_pictures(
    cars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_competition: Callable[..., Competition]
) -> None:
    runs, out = tmp_path / "runs", tmp_path / "mine"
    short = replace(train.PRESETS["bestiary"], guide=GuideOptions(epoch_images=8))
    monkeypatch.setitem(train.PRESETS, "bestiary", short)
    arguments = ["--data", cars, "--labels", cars.parent / "cars.txt", "--size", 16, "--runs", runs, "--out", out]
    train.main([*map(str, arguments), "--images", "64", "--epochs", "1"])
    assert {path.name for path in runs.iterdir()} == {"diffusion", *train_guide.GUIDES}
    words = {name: json.loads((out / "guides" / f"{name}.json").read_text())["words"] for name in train_guide.GUIDES}
    assert "truck" not in words["pretrained"]
    assert "truck" in words["finetuned"]
    assert "truck" in words["noised"]
    assert set(words["noised"]) < set(words["finetuned"])  # it begins without the first guide
    assert json.loads((out / "guides" / "noised.json").read_text())["noised"] is True
    assert words["noised-colours"] == words["noised"]
    for file in out.glob("unet/*.safetensors"):
        assert {value.dtype for value in load_file(file).values()} == {torch.float16}
    for file in out.glob("guides/*.safetensors"):
        state = load_file(file)
        assert {value.dtype for value in state.values() if value.dim() > 1} == {torch.float8_e4m3fn}
        assert {value.dtype for value in state.values() if value.dim() < 2} == {torch.float16}
        assert not any("colours" in name for name in state), "what reads the states stays in the run"
    mean = load_file(out / "guides" / "noised.safetensors")["text_mean"]
    assert 0 < mean.norm() < 1
    competition = tiny_competition(n=2)
    for guide in ("none", *train_guide.GUIDES):
        generator = baselines.load("clip-guided", competition, "cpu", weights=str(out), steps=3, guide=guide)
        images = generator.generate(["a red truck", "a blue sedan"], [1, 2])
        assert images.shape == (2, 16, 16, 3)
        assert images.dtype == np.uint8


def test_a_guide_needs_the_one_before_it(cars: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingPart, match="train_guide pretrained"):
        train_guide.main(
            ["finetuned", "--data", str(cars), "--labels", str(cars.parent / "cars.txt"), "--runs", str(tmp_path)]
        )


def test_sizes_that_do_not_halve_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="multiple of 8"):
        train_guide.main(["pretrained", "--size", "20", "--runs", str(tmp_path)])


def test_fine_tuning_learns_to_tell_the_labels_apart(cars: Path, tmp_path: Path) -> None:
    common = ["--data", str(cars), "--labels", str(cars.parent / "cars.txt"), "--size", "16", "--runs", str(tmp_path)]
    train_guide.main(["pretrained", *common, "--epochs", "1", "--epoch-images", "8", "--batch-size", "8"])
    train_guide.main(["finetuned", *common, "--epochs", "3", "--epoch-images", "80", "--learning-rate", "0.003"])
    rows = [json.loads(line) for line in (tmp_path / "finetuned" / "stats.jsonl").read_text().splitlines()]
    losses = [row["validation_loss"] for row in rows if "validation_loss" in row]
    assert len(losses) == 4
    assert min(losses) < 0.6 * losses[0]
