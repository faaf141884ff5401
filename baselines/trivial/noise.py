"""Uniform noise: the bottom of every metric."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from baselines.hardware import Hardware
from submission import Competition

SIZE_WHERE_ANY_IS_ALLOWED = 256


class Noise:
    """Images whose every value is uniform over 0…255."""

    def __init__(self, competition: Competition, hardware: Hardware) -> None:
        width, height = competition.common_size or (SIZE_WHERE_ANY_IS_ALLOWED, SIZE_WHERE_ANY_IS_ALLOWED)
        self.shape = (height, width, 3)

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
        """(B, H, W, 3) uint8; the prompts change nothing."""
        return np.stack([self._one(seed) for seed in seeds])

    def _one(self, seed: int) -> np.ndarray:
        count = math.prod(self.shape)
        # PCG64's raw stream is the same in every version of numpy, unlike Generator.integers (NEP 19).
        raw = np.random.PCG64(seed).random_raw((count + 7) // 8)
        return raw.astype("<u8").view(np.uint8)[:count].reshape(self.shape)
