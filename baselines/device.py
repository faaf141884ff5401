"""Where to compute, and noise that depends on an image's seed and on nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from submission.errors import MissingPart, UsageError

if TYPE_CHECKING:  # torch takes seconds to import: the commands that need none of it must not pay for it
    import torch

DEVICES = ("auto", "cpu", "cuda")


def resolve_device(device: str) -> str:
    """`auto` to `cuda` where there is one and to `cpu` otherwise.

    Raises:
        UsageError: not one of `DEVICES`.
        MissingPart: `cuda` was asked for and torch sees none.
    """
    if device not in DEVICES:
        raise UsageError(f"the device {device!r} is unknown: it is one of {', '.join(DEVICES)}")
    if device == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if device == "cuda":
        raise MissingPart(
            "no CUDA device",
            looked_for=f"torch {torch.__version__} sees none",
            get_it="use --device cpu, or a CUDA build of torch on a machine with an NVIDIA GPU and its driver",
        )
    return "cpu"


def seeded_generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """One CPU random stream per image. On the CPU whatever the device, so that a GPU starts from the same noise."""
    import torch

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
    import torch

    noise = torch.stack([torch.randn(tuple(shape), generator=generator) for generator in generators])
    return noise.to(device=device, dtype=dtype or torch.float32)
