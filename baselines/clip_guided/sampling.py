"""From noise to pictures: ancestral sampling of the pixel diffusion, its mean moved by a guide."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float32
from torch import Tensor

from baselines.clip_guided.diffusion import x0_from_v
from baselines.diffusion.process import Diffusion

# x_t (b, 3, h, w) and training timesteps (b,) to the velocity (b, 3, h, w).
Denoiser = Callable[[Tensor, Tensor], Tensor]
# x_t, the process's own steps (b,) and the velocity to what the mean is moved by per variance, (b, 3, h, w).
Gradient = Callable[[Tensor, Tensor, Tensor], Tensor]


def ancestral(
    process: Diffusion,
    denoiser: Denoiser,
    draw_noise: Callable[[], Float32[Tensor, "b 3 h w"]],
    gradient: Gradient | None = None,
) -> Float32[Tensor, "b 3 h w"]:
    """DDPM's sampling (Ho et al., arXiv 2006.11239, algorithm 2) with the posterior's variance and x0 clipped.

    A gradient moves the mean by the variance times it (Dhariwal & Nichol, arXiv 2105.05233, algorithm 1).
    """
    x = draw_noise()
    for step in reversed(range(len(process))):
        t = torch.full((len(x),), step, device=x.device)
        v = denoiser(x, process.train_timesteps(t))
        mean = process.posterior_mean(x0_from_v(process, x, t, v).clamp(-1, 1), x, t)
        variance = process.at(process.posterior_variance, t)
        if gradient is not None:
            mean = mean + variance * gradient(x, t, v)
        x = mean + variance.sqrt() * draw_noise() if step else mean
    return x
