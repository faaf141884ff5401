"""Prompts to images with small random weights: what an image depends on, what the manifest learns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import baselines
from baselines.clip_guided import guidance
from baselines.generator import checked_images, describe
from submission import Competition, MissingPart
from submission.errors import UsageError

PROMPTS = ["a red slime", "a blue slime number"]
GUIDES = ("pretrained", "finetuned", "noised", "noised-colours", "none")


@pytest.fixture
def load(tiny_competition: Callable[..., Competition], weights: Path) -> Callable:
    competition = tiny_competition(n=2)
    return lambda **options: baselines.load("clip-guided", competition, "cpu", weights=str(weights), **options)


@pytest.mark.parametrize("guide", GUIDES)
def test_an_image_depends_on_its_own_prompt_and_seed(guide: str, load: Callable) -> None:
    model = load(guide=guide)
    images = checked_images("clip-guided", model.generate(PROMPTS, [1, 2**63]), 2)
    assert images.shape == (2, 16, 16, 3)
    swapped = model.generate(PROMPTS[::-1], [2**63, 1])[::-1]
    assert np.abs(images.astype(int) - swapped).max() <= 1
    alone = np.concatenate([model.generate([prompt], [seed]) for prompt, seed in zip(PROMPTS, [1, 2**63], strict=True)])
    assert np.abs(images.astype(int) - alone).max() <= 2
    assert np.abs(images.astype(int) - model.generate(PROMPTS, [3, 4])).mean() > 5
    assert np.array_equal(images, load(guide=guide).generate(PROMPTS, [1, 2**63]))
    other = model.generate(["a blue slime", PROMPTS[1]], [1, 2**63])
    assert np.array_equal(images[0], other[0]) == (guide == "none")


def test_each_guide_form_scale_and_number_of_steps_draws_another_image(load: Callable) -> None:
    options = [
        {},
        {"guide": "pretrained"},
        {"guide": "finetuned"},
        {"guide": "none"},
        {"guide": "noised-colours"},
        {"guidance_form": "raw"},
        {"guidance_scale": 3.0},
        {"steps": 5},
    ]
    images = [load(**each).generate(PROMPTS, [1, 2]) for each in options]
    for k, one in enumerate(images):
        assert not any(np.array_equal(one, other) for other in images[:k]), options[k]
    unguided = load(guidance_scale=0.0).generate(PROMPTS, [1, 2])
    assert np.array_equal(unguided, images[3])


def test_the_manifest_learns_what_decides_the_pixels(load: Callable, weights: Path) -> None:
    description = describe("clip-guided", load(guide="finetuned", steps=3))
    assert description.batch_size == 2
    assert description.settings == {
        "steps": 3,
        "guide": "finetuned",
        "guidance_form": "normalised",
        "guidance_scale": 40.0,
        "guide_sees": "predicted x_0",
        "sampler": "ancestral",
    }
    files = (
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "guides/finetuned.json",
        "guides/finetuned.safetensors",
    )
    assert description.weights == {name: hashlib.sha256((weights / name).read_bytes()).hexdigest() for name in files}
    noised = load(guide="noised")
    assert noised.settings["guide_sees"] == "x_t"
    assert noised.settings["together_with"] == "noised-colours"
    assert set(noised.weights) >= {"guides/noised.safetensors", "guides/noised-colours.safetensors"}
    assert "together_with" not in load(guide="noised-colours").settings
    assert load(guide="pretrained", guidance_form="raw").settings["guide_sees"] == "x_t"
    assert "guidance_scale" not in load(guide="none").settings


def test_guides_together_pull_each_at_its_scale(load: Callable, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scales: list[float] = []
    normalised = guidance.normalised
    monkeypatch.setattr(guidance, "normalised", lambda *args: scales.append(args[-1]) or normalised(*args))
    both = load(guide="noised").generate(PROMPTS, [1, 2])
    load(guide="noised", guidance_scale=8.0).generate(PROMPTS, [1, 2])
    assert scales == [40.0, 20.0, 8.0, 4.0]
    file = weights / "sampling.json"
    file.write_text(json.dumps({k: v for k, v in json.loads(file.read_text()).items() if k != "together"}))
    assert not np.array_equal(load(guide="noised").generate(PROMPTS, [1, 2]), both)
    assert scales[4:] == [40.0]


def test_a_guide_without_a_scale_is_refused(load: Callable, weights: Path) -> None:
    file = weights / "sampling.json"
    settings = json.loads(file.read_text())
    for scales in ({}, [], {"normalised": {"noised": 0, "noised-colours": 1}}, {"normalised": {"noised": 1}}):
        file.write_text(json.dumps(settings | {"guidance_scale": scales}))
        with pytest.raises(UsageError, match="no guidance_scale above 0 of the form normalised for noised"):
            load()


@pytest.mark.parametrize("together", [["noised-colours"], "noised", {"noised": "noised-colours"}, {"noised": [1]}])
def test_helpers_that_are_no_list_of_guides_are_refused(load: Callable, weights: Path, together: object) -> None:
    file = weights / "sampling.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"together": together}))
    with pytest.raises(UsageError, match="together is no object with a list of guides for noised"):
        load(guide="noised")


def test_words_that_the_guide_does_not_know_are_noted(load: Callable) -> None:
    assert load().notes == ["2 of 2 prompts have words that the guide does not know: 0_main.png, 1_main.png"]
    assert load(guide="none").notes == []


@pytest.mark.parametrize("name", ["sampling.json", "unet/diffusion_pytorch_model.safetensors", "guides/noised.json"])
def test_a_missing_part_says_what_to_do(name: str, load: Callable, weights: Path) -> None:
    (weights / name).unlink()
    with pytest.raises(MissingPart, match="make train MODEL=clip-guided") as caught:
        load()
    assert str(weights / name) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"guide": "none", "guidance_scale": 1.0}, "none takes no"),
        ({"guide": "none", "guidance_form": "raw"}, "none takes no"),
        ({"guide": "friendly"}, "pretrained, finetuned, noised, noised-colours or none"),
        ({"guidance_form": "cooked"}, "normalised or raw"),
        ({"steps": 1001}, "1001 steps"),
    ],
)
def test_wrong_options_are_refused(options: dict, complaint: str, load: Callable) -> None:
    with pytest.raises(UsageError, match=complaint):
        load(**options)
