"""Prompts to images with small random weights: what an image depends on, what the manifest learns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from baselines.generator import checked_images, describe
from baselines.glide import pipeline
from baselines.glide.config import read_config
from baselines.hardware import Hardware
from submission import Competition, MissingPart
from submission.errors import UsageError

CPU = Hardware("cpu", "float32", "a test")

PROMPTS = ["a red slime", "a blue bat on a stone"]


@pytest.fixture
def competition(tiny_competition: Callable[..., Competition]) -> Competition:
    return tiny_competition(n=2)


@pytest.fixture(params=["Glide", "load_clip_guided"])
def load(request: pytest.FixtureRequest) -> Callable:
    return getattr(pipeline, request.param)


def test_an_image_depends_on_its_own_prompt_and_seed(load: Callable, competition: Competition, weights: Path) -> None:
    glide = load(competition, CPU, weights=str(weights))
    images = checked_images("glide", glide.generate(PROMPTS, [1, 2**63]), 2)
    assert images.shape == (2, 32, 32, 3)
    assert images.std() > 10
    swapped = glide.generate(PROMPTS[::-1], [2**63, 1])[::-1]
    np.testing.assert_allclose(images.astype(int), swapped, atol=1)
    assert np.abs(images.astype(int) - glide.generate(PROMPTS, [3, 4])).mean() > 5
    assert not np.array_equal(images[0], glide.generate(["a mushroom", PROMPTS[1]], [1, 2**63])[0])
    assert np.array_equal(images, load(competition, CPU, weights=str(weights)).generate(PROMPTS, [1, 2**63]))


def test_the_manifest_learns_what_decides_the_pixels(competition: Competition, weights: Path) -> None:
    glide = pipeline.Glide(competition, CPU, weights=str(weights), steps=3, guidance_scale=2.0)
    description = describe("glide", glide)
    assert description.batch_size == 2
    assert description.settings["steps"] == 3
    assert description.settings["guidance_scale"] == 2.0
    files = ["glide.json", "vocab.json", "merges.txt", "base.safetensors", "upsample.safetensors"]
    assert description.weights == {name: hashlib.sha256((weights / name).read_bytes()).hexdigest() for name in files}
    guided = describe("glide-clip", pipeline.load_clip_guided(competition, CPU, weights=str(weights)))
    assert guided.settings["guidance_scale"] == 3.0
    assert guided.settings["classifier_free_scale"] == 1.0
    assert guided.weights.keys() - description.weights.keys() == {
        "clip_image_enc.safetensors",
        "clip_text_enc.safetensors",
    }


@pytest.mark.parametrize("option", [{"guidance_scale": 1.0}, {"guidance_scale": 0.0}, {"steps": 2}])
def test_options_change_the_images(
    option: dict[str, float], load: Callable, competition: Competition, weights: Path
) -> None:
    images = load(competition, CPU, weights=str(weights)).generate(PROMPTS, [1, 2])
    changed = load(competition, CPU, weights=str(weights), **option).generate(PROMPTS, [1, 2])
    assert not np.array_equal(images, changed)


def test_both_guidances_come_together(competition: Competition, weights: Path) -> None:
    alone = pipeline.load_clip_guided(competition, CPU, weights=str(weights))
    config = json.loads((weights / "glide.json").read_text())
    config["sampling"]["clip_guidance_scale"] = 3.0
    (weights / "glide.json").write_text(json.dumps(config))
    assert read_config(weights / "glide.json").sampling.clip_guidance_scale == 3.0
    both = pipeline.load_clip_guided(competition, CPU, weights=str(weights))
    free = pipeline.Glide(competition, CPU, weights=str(weights), guidance_scale=3.0)
    images = [glide.generate(PROMPTS, [1, 2]) for glide in (alone, both, free)]
    assert not np.array_equal(images[1], images[0])
    assert not np.array_equal(images[1], images[2])


def test_no_clip_gradient_is_no_guidance(competition: Competition, weights: Path) -> None:
    off = pipeline.load_clip_guided(competition, CPU, weights=str(weights), guidance_scale=0.0)
    plain = pipeline.Glide(competition, CPU, weights=str(weights), guidance_scale=1.0)
    assert np.array_equal(off.generate(PROMPTS, [1, 2]), plain.generate(PROMPTS, [1, 2]))


def test_a_prompt_that_is_cut_is_noted(competition: Competition, weights: Path) -> None:
    notes = pipeline.Glide(competition, CPU, weights=str(weights)).notes
    assert notes == ["2 of 2 prompts are longer than 12 tokens and were cut: 0_main.png, 1_main.png"]


def test_more_steps_than_the_model_knows_are_refused(competition: Competition, weights: Path) -> None:
    with pytest.raises(UsageError, match="1001 steps"):
        pipeline.Glide(competition, CPU, weights=str(weights), steps=1001)


def test_clip_guidance_without_a_noised_clip(competition: Competition, weights: Path) -> None:
    config = json.loads((weights / "glide.json").read_text())
    (weights / "glide.json").write_text(json.dumps(config | {"clip": None}))
    with pytest.raises(MissingPart, match="these weights of GLIDE have no noised CLIP"):
        pipeline.load_clip_guided(competition, CPU, weights=str(weights))
