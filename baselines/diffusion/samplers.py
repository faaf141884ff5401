"""From noise to images: ancestral sampling and DDIM, each with the guidance of a gradient.

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

# x_t and the training timesteps (b,) to a network's output, guided or not.
Denoiser = Callable[[Tensor, Tensor], Tensor]
# x_t, the process's own steps (b,) and the x_0 predicted there to the gradient of a log-likelihood by x_t.
Gradient = Callable[[Tensor, Tensor, Tensor], Tensor]
# Standard normal noise like x_t, new at each call.
DrawNoise = Callable[[], Tensor]


class Known(NamedTuple):
    """Pixels to keep: `image` (b, 3, h, w) in -1 … 1, `mask` (b, 1, h, w), 1 where it is known and 0 to fill."""

    image: Tensor
    mask: Tensor


class Reverse(NamedTuple):
    """What a network says of x_{t-1} at x_t: x_0, clipped to -1 … 1, and the variance and its root, as broadcast."""

    x0: Tensor
    variance: Tensor
    deviation: Tensor


# x_t and the process's own steps (b,).
Predict = Callable[[Tensor, Tensor], Reverse]


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


def with_learned_variance(process: Diffusion, denoiser: Denoiser, known: Known | None = None) -> Predict:
    """Of a denoiser to eps and v, (b, 6, h, w) (`Diffusion.prediction`), with the known pixels in x_0's place."""

    def predict(x: Tensor, t: Tensor) -> Reverse:
        prediction = process.prediction(denoiser(x, process.train_timesteps(t)), t)
        x0 = process.x0_from_eps(x, t, prediction.eps)
        if known is not None:
            x0 = x0 * (1 - known.mask) + known.image * known.mask
        log_variance = prediction.log_variance
        return Reverse(x0.clamp(-1, 1), log_variance.exp(), (0.5 * log_variance).exp())

    return predict


def with_posterior_variance(process: Diffusion, denoiser: Denoiser) -> Predict:
    """Of a denoiser to the velocity, (b, 3, h, w), with the variance of the posterior."""

    def predict(x: Tensor, t: Tensor) -> Reverse:
        x0 = process.x0_from_v(x, t, denoiser(x, process.train_timesteps(t)))
        variance = process.at(process.posterior_variance, t)
        return Reverse(x0.clamp(-1, 1), variance, variance.sqrt())

    return predict


def ancestral(
    process: Diffusion,
    predict: Predict,
    x: Float32[Tensor, "b 3 h w"],
    draw_noise: DrawNoise,
    *,
    gradient: Gradient | None = None,
) -> Iterator[Step]:
    """DDPM's sampling (Ho et al., arXiv 2006.11239, algorithm 2).

    A gradient moves the mean by the variance times it (Dhariwal & Nichol, arXiv 2105.05233, algorithm 1).
    """
    for step in reversed(range(len(process))):
        t = torch.full((len(x),), step, device=x.device)
        x0, variance, deviation = predict(x, t)
        mean = process.posterior_mean(x0, x, t)
        if gradient is not None:
            mean = mean + variance * gradient(x, t, x0)
        x = mean + deviation * draw_noise() if step else mean
        yield Step(x, x0)


def ddim(
    process: Diffusion,
    predict: Predict,
    x: Float32[Tensor, "b 3 h w"],
    draw_noise: DrawNoise | None = None,
    *,
    eta: float = 0.0,
    gradient: Gradient | None = None,
) -> Iterator[Step]:
    """DDIM (Song et al., arXiv 2010.02502, equation 12); `eta` 0 adds no noise and 1 as much as ancestral sampling.

    A gradient changes eps (Dhariwal & Nichol, arXiv 2105.05233, algorithm 2). The x_0 that follows is not clipped
    again: in the early steps it is far out of range.
    """
    for step in reversed(range(len(process))):
        t = torch.full((len(x),), step, device=x.device)
        x0 = predict(x, t).x0
        eps = process.eps_from_x0(x, t, x0)  # what the clipped x_0 stands for
        if gradient is not None:
            eps = eps - process.at(np.sqrt(1 - process.alphas_cumprod), t) * gradient(x, t, x0)
            x0 = process.x0_from_eps(x, t, eps)
            eps = process.eps_from_x0(x, t, x0)
        before, now = process.at(process.alphas_cumprod_prev, t), process.at(process.alphas_cumprod, t)
        sigma = eta * ((1 - before) / (1 - now)).sqrt() * (1 - now / before).sqrt()
        x = before.sqrt() * x0 + (1 - before - sigma**2).sqrt() * eps
        if eta and step:
            assert draw_noise is not None, "eta > 0 needs noise"
            x = x + sigma * draw_noise()
        yield Step(x, x0)
