"""GLIDE, its CLIP guidance and inpainting on a pretended GPU, in float32 and in half precision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pretended_cuda import pretended_cuda

from baselines.glide import pipeline
from baselines.glide.inpainting import Inpainter
from baselines.glide.weights import Folder
from baselines.hardware import decide

PROMPTS, SEEDS = ["a red slime", "a blue bat"], [1, 2]


def assert_near(found: np.ndarray, expected: np.ndarray, precision: str) -> None:
    """The same pictures but for rounding, which half precision does more of."""
    assert found.dtype == expected.dtype == np.uint8
    difference = np.abs(found.astype(int) - expected)
    # Half precision leads a few values, which random weights drive to the ends of the range, to the other end.
    assert (difference <= 2).mean() > (0.999 if precision == "float32" else 0.7)


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("load", [pipeline.Glide, pipeline.load_clip_guided])
def test_pictures(weights: Path, tiny_competition: Callable, load: Callable, precision: str) -> None:
    competition = tiny_competition(2)
    options = {"weights": str(weights), "steps": 2}
    expected = load(competition, decide("cpu", "float32"), **options).generate(PROMPTS, SEEDS)
    with pretended_cuda() as cuda:
        found = load(competition, decide("cuda", precision), **options).generate(PROMPTS, SEEDS)
        assert cuda.memory.touched == {0}
    assert_near(found, expected, precision)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_inpainting(weights: Path, precision: str) -> None:
    folder = Folder.open(str(weights))
    image, fill = np.full((32, 32, 3), 200, np.uint8), np.zeros((32, 32), bool)
    fill[:16] = True
    expected = Inpainter(folder, decide("cpu", "float32"), steps=2).inpaint(image, fill, PROMPTS[0], 0)
    with pretended_cuda() as cuda:
        found = Inpainter(folder, decide("cuda", precision), steps=2).inpaint(image, fill, PROMPTS[0], 0)
        assert cuda.memory.touched == {0}
    assert (found[16:] == 200).all()
    assert_near(found, expected, precision)
