"""MapleStory and Brainrot with the course's files in their real form, made small."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from submission import Competition, MissingPart


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DRAWOFF_DATA", str(tmp_path))
    return tmp_path


def write_statistics(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """test_mu.npy and test_sigma.npy as the scoring program has them: float64, of 2048 features."""
    features = np.random.default_rng(0).normal(size=(5, 2048))
    mean, covariance = features.mean(0), np.cov(features, rowvar=False)
    np.save(folder / "test_mu.npy", mean)
    np.save(folder / "test_sigma.npy", covariance)
    return mean, covariance


def test_maplestory(data: Path) -> None:
    folder = data / "maplestory"
    (folder / "test").mkdir(parents=True)
    description, action = "Gray vulture monster with wings, sharp beak, and trident.", "The monster is attacking."
    entries = {
        "0_attack1": {
            "image_name": "0_attack1.png",
            "given_description": description,
            "action_description": action,
            "text_prompt": f"{description} {action}",
        },
        "0_main": {
            "image_name": "0_main.png",
            "given_description": description,
            "action_description": "",
            "text_prompt": description,
        },
    }
    (folder / "test.json").write_text(json.dumps(entries))
    for name in ("0_attack1.png", "0_main.png"):
        Image.new("RGB", (256, 256), "white").save(folder / "test" / name)
    mean, covariance = write_statistics(folder)
    competition = Competition.load("maplestory")
    assert [prompt.text for prompt in competition.prompts] == [f"{description} {action}", description]
    assert competition.families == (0, 0)  # one monster
    assert competition.references().read("0_main.png").shape == (256, 256, 3)
    found = competition.statistics()
    assert found is not None
    np.testing.assert_array_equal(found.mean, mean)
    np.testing.assert_array_equal(found.covariance, covariance)
    assert competition.backbones.inception == "torchvision"
    # What participants of the course reported passes the first tier, or both.
    assert [sorted(tier.thresholds) for tier in competition.tiers] == [["clip_i", "clip_t", "fid"]] * 2
    assert [tier.thresholds["fid"] for tier in competition.tiers] == [120.0, 90.0]


def test_brainrot(data: Path) -> None:
    folder = data / "brainrot"
    folder.mkdir()
    lines = ["id,animal,object,prompt", "000001.png,shark,sneaker,a shark and a sneaker"]
    lines += ["000002.png,shark,sneaker,a shark and a sneaker", "000003.png,cat,teapot,a cat and a teapot"]
    (folder / "generate.csv").write_text("\n".join(lines) + "\n")
    competition = Competition.load("brainrot")
    assert [(prompt.image_name, prompt.text) for prompt in competition.prompts][1:] == [
        ("000002.png", "a shark and a sneaker"),
        ("000003.png", "a cat and a teapot"),
    ]
    assert competition.families == (0, 0, 1)  # of equal prompts
    with pytest.raises(MissingPart, match=r"test_mu\.npy"):
        competition.statistics()
    write_statistics(folder)
    assert competition.statistics() is not None
    assert not competition.has_references
    assert competition.image_size == 64
    assert [tier.mark for tier in competition.tiers] == [70, 80, 90, 100]
