"""The same pixels in any batch: parts of one size, the last of them filled up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


def filled(items: Sequence[Item], size: int) -> list[Item]:
    """`items` and as many more of the last one as make `size`: what comes of those is thrown away."""
    return [*items, *[items[-1]] * (size - len(items))]


def in_fixed_batches(
    size: int | None, prompts: Sequence[str], seeds: Sequence[int], draw: Callable[[list[str], list[int]], np.ndarray]
) -> np.ndarray:
    """`draw(prompts, seeds)`, (B, H, W, 3), called with always `size` prompts, however many there are.

    None: with as many as there are, once.

    Kernels round by their operands' shapes. Where a sample is drawn from what a network says, or moved by a gradient,
    the last digit can decide the picture.
    """
    size = size or len(prompts)
    images = []
    for start in range(0, len(prompts), size):
        part = slice(start, start + size)
        images.append(draw(filled(prompts[part], size), filled(seeds[part], size))[: len(prompts[part])])
    return np.concatenate(images)
