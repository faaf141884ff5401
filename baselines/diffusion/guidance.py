"""Classifier-free guidance: the formula, and the one order of the halves that a network is called with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from baselines.diffusion.samplers import Denoiser


def classifier_free(
    network: Callable[..., Tensor],
    prompt: Sequence[Tensor],
    empty: Sequence[Tensor],
    scale: float,
    *,
    channels: int | None = None,
) -> Denoiser:
    """Away from the empty prompt: u + scale (c - u) (Ho & Salimans, arXiv 2207.12598, equation 6; GLIDE, equation 4).

    The network is called once for both halves, the prompts' first.

    Args:
        network: x (b, …), timesteps (b,) and the conditions to its output (b, c, …).
        prompt: the conditions, each (b, …).
        empty: the same without a prompt, each (b, …) or what expands to it.
        scale: 1 is no guidance, and costs one half of the network's work.
        channels: of the output, those that are guided; the others stay the prompt's. None: all.
    """
    if scale == 1:
        return lambda x, timesteps: network(x, timesteps, *prompt)
    both = [torch.cat([c, u.expand_as(c)]) for c, u in zip(prompt, empty, strict=True)]

    def denoise(x: Tensor, timesteps: Tensor) -> Tensor:
        output = network(torch.cat([x, x]), torch.cat([timesteps, timesteps]), *both)
        conditional, unconditional = output.chunk(2)
        c, u = conditional[:, :channels], unconditional[:, :channels]
        guided = u + scale * (c - u)
        return guided if channels is None else torch.cat([guided, conditional[:, channels:]], dim=1)

    return denoise
