"""Shipped generators on a pretended GPU: the pictures of the CPU. GLIDE's are tested with its smallest weights."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from pretended_cuda import pretended_cuda

import baselines
from baselines.diffusion import batches
from submission import Competition

PROMPTS, SEEDS = ["Red slime monster with horns and sword."], [1]
MODELS = {
    "monster": "monster",
    "stable": "stable_diffusion",
    "vq": "vq_diffusion",
    "clip-guided": "clip_guided",
}


@pytest.fixture
def one_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No filling up to batches of 32, which would cost 32 times the work."""
    original = batches.in_fixed_batches
    for folder in set(MODELS.values()):
        module = import_module(f"baselines.{folder}.pipeline")
        monkeypatch.setattr(module, "in_fixed_batches", lambda size, *rest: original(None, *rest), raising=False)


def assert_near(found: np.ndarray, expected: np.ndarray) -> None:
    """The same pictures but for rounding."""
    assert found.dtype == expected.dtype == np.uint8
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.usefixtures("one_at_once")
@pytest.mark.parametrize("model", MODELS)
def test_a_generator(model: str) -> None:
    bestiary = Competition.load("bestiary")
    expected = baselines.load(model, bestiary, "cpu", precision="float32", steps=2).generate(PROMPTS, SEEDS)
    with pretended_cuda() as cuda:
        found = baselines.load(model, bestiary, "cuda", precision="float32", steps=2).generate(PROMPTS, SEEDS)
        assert cuda.memory.touched == {0}
    assert_near(found, expected)
