"""Noise that depends on an image's seed and on nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def seeded_generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """One CPU random stream per image, of its seed (`submission.prompts.image_seed`).

    On the CPU whatever the device, so that a GPU starts from the same noise.
    """
    return [torch.Generator("cpu").manual_seed(seed) for seed in seeds]


def randn(generators: Sequence[torch.Generator], shape: Sequence[int], device: torch.device | str) -> torch.Tensor:
    """Standard normal noise, (len(generators), *shape), float32, each image's part from its own stream.

    Calling it again goes on in the streams: what an ancestral sampler needs at each step.
    """
    return torch.stack([torch.randn(tuple(shape), generator=generator) for generator in generators]).to(device)
