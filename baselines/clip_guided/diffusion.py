"""The pixel diffusion's process: the sigmoid schedule, the velocity that the network predicts, the steps to take."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, Int
from torch import Tensor

from baselines.diffusion.process import Diffusion
from baselines.diffusion.schedules import respace

TRAIN_TIMESTEPS = 1000


def sigmoid_betas(steps: int, start: float = -3.0, end: float = 3.0, tau: float = 1.0) -> Float64[np.ndarray, " steps"]:
    """The variances of the sigmoid schedule (Jabri et al., arXiv 2212.11972, appendix B, algorithm 1).

    alphas_cumprod at time s in 0 … 1 is (sigma(end / tau) - sigma((start + s (end - start)) / tau)), scaled to go from
    1 to 0; betas are at most 0.999.
    """

    level = 1.0 / (1.0 + np.exp(-(start + np.linspace(0.0, 1.0, steps + 1) * (end - start)) / tau))
    alphas_cumprod = (level[-1] - level) / (level[-1] - level[0])
    return np.clip(1.0 - alphas_cumprod[1:] / alphas_cumprod[:-1], 0.0, 0.999)


def diffusion(steps: int | None = None, train_timesteps: int = TRAIN_TIMESTEPS) -> Diffusion:
    """The process of training, or of `steps` of its timesteps at equal distances. Raises UsageError for too many."""
    return Diffusion(sigmoid_betas(train_timesteps), None if steps is None else respace(train_timesteps, str(steps)))


def velocity(process: Diffusion, x0: Tensor, t: Int[Tensor, " b"], noise: Tensor) -> Float32[Tensor, "b 3 h w"]:
    """v = sqrt(alphas_cumprod) noise - sqrt(1 - alphas_cumprod) x0 (Salimans & Ho, arXiv 2202.00512, appendix D)."""
    signal, spread = signal_and_spread(process, t)
    return signal * noise - spread * x0


def x0_from_v(process: Diffusion, x: Tensor, t: Int[Tensor, " b"], v: Tensor) -> Float32[Tensor, "b 3 h w"]:
    """x0 = sqrt(alphas_cumprod) x_t - sqrt(1 - alphas_cumprod) v, not clipped (ibid.)."""
    signal, spread = signal_and_spread(process, t)
    return signal * x - spread * v


def signal_and_spread(process: Diffusion, t: Int[Tensor, " b"]) -> tuple[Tensor, Tensor]:
    """sqrt(alphas_cumprod) and sqrt(1 - alphas_cumprod), each (b, 1, 1, 1)."""
    return process.at(np.sqrt(process.alphas_cumprod), t), process.at(np.sqrt(1.0 - process.alphas_cumprod), t)
