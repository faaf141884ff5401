"""From noise to images: ancestral sampling and DDIM, each with the guidance of a gradient and with known pixels.

A sampler is an iterator over its steps, from the noisiest; the last one's `sample` is the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from baselines.diffusion.process import Diffusion

# x_t (b, 3, h, w) and the training timesteps (b,) to the UNet's output (b, 6, h, w), guided or not.
Denoiser = Callable[[Tensor, Tensor], Tensor]
# x_t and the training timesteps to the gradient of a log-likelihood by x_t, (b, 3, h, w).
Gradient = Callable[[Tensor, Tensor], Tensor]
# Standard normal noise like x_t, new at each call.
DrawNoise = Callable[[], Tensor]


class Known(NamedTuple):
    """Pixels to keep: `image` (b, 3, h, w) in -1 … 1, `mask` (b, 1, h, w), 1 where it is known and 0 to fill."""

    image: Tensor
    mask: Tensor


class Step(NamedTuple):
    """After a step: x_{t-1}, and the x_0 that the network saw in x_t; both (b, 3, h, w)."""

    sample: Tensor
    pred_x0: Tensor


def noise_of(denoiser: Denoiser, training: Diffusion) -> Denoiser:
    """A denoiser whose first three channels are x_0, as one of eps. `training` is the process with all timesteps."""

    def denoise(x: Tensor, timesteps: Tensor) -> Tensor:
        x0, v = denoiser(x, timesteps).chunk(2, dim=1)
        return torch.cat([training.eps_from_x0(x, timesteps, x0), v], dim=1)

    return denoise


def predict_x0(diffusion: Diffusion, x: Tensor, t: Tensor, eps: Tensor, known: Known | None = None) -> Tensor:
    """x_0 with the known pixels in place, clipped to -1 … 1."""
    x0 = diffusion.x0_from_eps(x, t, eps)
    if known is not None:
        x0 = x0 * (1 - known.mask) + known.image * known.mask
    return x0.clamp(-1, 1)


def ancestral(
    diffusion: Diffusion,
    denoiser: Denoiser,
    x: Float32[Tensor, "b 3 h w"],
    draw_noise: DrawNoise,
    *,
    gradient: Gradient | None = None,
    known: Known | None = None,
) -> Iterator[Step]:
    """DDPM's sampling (Ho et al., arXiv 2006.11239, algorithm 2) with learned variances.

    A gradient moves the mean by the variance times it (Dhariwal & Nichol, arXiv 2105.05233, algorithm 1).
    """
    for step in reversed(range(len(diffusion))):
        t = torch.full((len(x),), step, device=x.device)
        timesteps = diffusion.train_timesteps(t)
        prediction = diffusion.prediction(denoiser(x, timesteps), t)
        x0 = predict_x0(diffusion, x, t, prediction.eps, known)
        mean = diffusion.posterior_mean(x0, x, t)
        if gradient is not None:
            mean = mean + prediction.log_variance.exp() * gradient(x, timesteps)
        x = mean + (0.5 * prediction.log_variance).exp() * draw_noise() if step else mean
        yield Step(x, x0)


def ddim(
    diffusion: Diffusion,
    denoiser: Denoiser,
    x: Float32[Tensor, "b 3 h w"],
    draw_noise: DrawNoise | None = None,
    *,
    eta: float = 0.0,
    gradient: Gradient | None = None,
    known: Known | None = None,
) -> Iterator[Step]:
    """DDIM (Song et al., arXiv 2010.02502, equation 12); `eta` 0 adds no noise and 1 as much as ancestral sampling.

    A gradient changes eps (Dhariwal & Nichol, arXiv 2105.05233, algorithm 2). The x_0 that follows is not clipped
    again: in the early steps it is far out of range.
    """
    for step in reversed(range(len(diffusion))):
        t = torch.full((len(x),), step, device=x.device)
        timesteps = diffusion.train_timesteps(t)
        x0 = predict_x0(diffusion, x, t, diffusion.prediction(denoiser(x, timesteps), t).eps, known)
        eps = diffusion.eps_from_x0(x, t, x0)  # what the clipped x_0 stands for
        if gradient is not None:
            eps = eps - diffusion.at(np.sqrt(1 - diffusion.alphas_cumprod), t) * gradient(x, timesteps)
            x0 = diffusion.x0_from_eps(x, t, eps)
            eps = diffusion.eps_from_x0(x, t, x0)
        before, now = diffusion.at(diffusion.alphas_cumprod_prev, t), diffusion.at(diffusion.alphas_cumprod, t)
        sigma = eta * ((1 - before) / (1 - now)).sqrt() * (1 - now / before).sqrt()
        x = before.sqrt() * x0 + (1 - before - sigma**2).sqrt() * eps
        if eta and step:
            assert draw_noise is not None, "eta > 0 needs noise"
            x = x + sigma * draw_noise()
        yield Step(x, x0)
