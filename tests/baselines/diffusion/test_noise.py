"""Noise that belongs to one image alone."""

from __future__ import annotations

import pytest
import torch

from baselines.diffusion.noise import randn, seeded_generators

SEEDS = [0, 7, 2**64 - 1]


def test_an_images_noise_is_its_own() -> None:
    together = seeded_generators(SEEDS)
    steps = [randn(together, (4, 8, 8), "cpu") for _ in range(3)]
    for index, seed in enumerate(SEEDS):
        alone = torch.Generator().manual_seed(seed)
        for step in steps:
            assert torch.equal(step[index], torch.randn(4, 8, 8, generator=alone))
    assert not torch.equal(steps[0], steps[1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_starts_from_the_same_noise() -> None:
    assert torch.equal(
        randn(seeded_generators(SEEDS), (64,), "cuda").cpu(), randn(seeded_generators(SEEDS), (64,), "cpu")
    )
