"""What the losses of several models share: the times that they are taken at, and the contrast of pictures and texts."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor


def stratified_timesteps(count: int, steps: int, generator: torch.Generator) -> Int64[Tensor, " count"]:
    """One timestep from each of `count` equal slices of 0 … steps - 1, in random order.

    The loss depends less on luck than with independent ones (Kingma et al., arXiv 2107.00630, appendix I.1).
    """
    slices = (torch.arange(count) + torch.rand((), generator=generator)) / count
    t = (slices[torch.randperm(count, generator=generator)] * steps).long()
    return t.clamp(max=steps - 1)  # the last slice's end rounds up to 1
