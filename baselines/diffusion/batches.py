"""The same pixels in any batch, for models that a rounding can lead elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


def in_fixed_batches(
    size: int | None, prompts: Sequence[str], seeds: Sequence[int], draw: Callable[[list[str], list[int]], np.ndarray]
) -> np.ndarray:
    """`draw(prompts, seeds)`, (B, H, W, 3), called with always `size` prompts, however many there are.

    None: with as many as there are, once.

    Kernels round by their operands' shapes. Where a sample is drawn from what a network says, or moved by a gradient,
    the last digit can decide the picture; so the last part is filled up with its last prompt, and what comes of the
    filling is thrown away.
    """
    size = size or len(prompts)
    images = []
    for start in range(0, len(prompts), size):
        some, their_seeds = list(prompts[start : start + size]), list(seeds[start : start + size])
        filling = size - len(some)
        images.append(draw(some + some[-1:] * filling, their_seeds + their_seeds[-1:] * filling)[: len(some)])
    return np.concatenate(images)
