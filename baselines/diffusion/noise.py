"""Noise that depends on an image's seed and on nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def seeded_generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """One CPU random stream per image, of its seed (`submission.prompts.image_seed`).

    On the CPU whatever the device, so that a GPU starts from the same noise.
    """
    return [torch.Generator("cpu").manual_seed(seed) for seed in seeds]


def randn(
    generators: Sequence[torch.Generator],
    shape: Sequence[int],
    device: torch.device | str,
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Standard normal noise, (len(generators), *shape), each image's part from its own stream.

    Drawn as float32 and converted, so that every precision starts from the same numbers. Calling it again goes on in
    the streams: what an ancestral sampler needs at each step.
    """
    noise = torch.stack([torch.randn(tuple(shape), generator=generator) for generator in generators])
    return noise.to(device=device, dtype=dtype or torch.float32)
