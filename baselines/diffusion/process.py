"""The diffusion process of a (respaced) schedule: its tables, in float64, and what follows from a prediction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int
from torch import Tensor


@dataclass(frozen=True)
class Prediction:
    """A network's output at x_t: eps, the log of the variance of the reverse step; each (b, 3, h, w)."""

    eps: Tensor
    log_variance: Tensor


class Diffusion:
    """Equations of Nichol & Dhariwal, arXiv 2102.09672, section 2, unless another is named.

    Args:
        train_betas: of the training schedule.
        timestep_map: which of its steps are visited, ascending; None: all.

    Attributes:
        timestep_map: step of this process -> timestep of the training schedule, which the networks are given.
    """

    def __init__(self, train_betas: Float64[np.ndarray, " t"], timestep_map: list[int] | None = None) -> None:
        train_alphas_cumprod = np.cumprod(1.0 - train_betas)
        self.timestep_map = np.array(range(len(train_betas)) if timestep_map is None else timestep_map)
        kept = train_alphas_cumprod[self.timestep_map]
        if timestep_map is None:
            self.betas = train_betas
        else:
            self.betas = 1.0 - kept / np.append(1.0, kept[:-1])
        self.alphas_cumprod = np.cumprod(1.0 - self.betas)
        self.alphas_cumprod_prev = np.append(1.0, self.alphas_cumprod[:-1])
        self.sqrt_recip_alphas_cumprod = np.sqrt(1.0 / self.alphas_cumprod)
        self.sqrt_recipm1_alphas_cumprod = np.sqrt(1.0 / self.alphas_cumprod - 1)
        self.posterior_variance = self.betas * (1.0 - self.alphas_cumprod_prev) / (1.0 - self.alphas_cumprod)
        # The first variance is 0, whose log is not finite: the second stands in for it.
        second = self.posterior_variance[1] if len(self) > 1 else self.betas[0]
        self.posterior_log_variance_clipped = np.log(np.append(second, self.posterior_variance[1:]))
        self.posterior_mean_coef1 = self.betas * np.sqrt(self.alphas_cumprod_prev) / (1.0 - self.alphas_cumprod)
        self.posterior_mean_coef2 = (
            (1.0 - self.alphas_cumprod_prev) * np.sqrt(1.0 - self.betas) / (1.0 - self.alphas_cumprod)
        )

    def __len__(self) -> int:
        return len(self.timestep_map)

    def at(self, table: Float64[np.ndarray, " t"], t: Int[Tensor, " b"]) -> Float32[Tensor, "b 1 1 1"]:
        """The entries of a table, to compute with images."""
        return torch.from_numpy(table).float().to(t.device)[t][:, None, None, None]

    def train_timesteps(self, t: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
        """What the networks are given for this process's steps `t`."""
        return torch.from_numpy(self.timestep_map).to(t.device)[t]

    def q_sample(self, x0: Tensor, t: Int[Tensor, " b"], noise: Tensor) -> Float[Tensor, "b 3 h w"]:
        """x_t from x_0 (equation 9)."""
        signal, spread = self.signal_and_spread(t)
        return signal * x0 + spread * noise

    def prediction(self, output: Float32[Tensor, "b 6 h w"], t: Int[Tensor, " b"]) -> Prediction:
        """A UNet's output read: its v goes from the posterior's variance to beta on a log scale (equation 15)."""
        eps, v = output.chunk(2, dim=1)
        fraction = (v + 1) / 2
        largest, smallest = self.at(np.log(self.betas), t), self.at(self.posterior_log_variance_clipped, t)
        return Prediction(eps, fraction * largest + (1 - fraction) * smallest)

    def x0_from_eps(self, x: Tensor, t: Int[Tensor, " b"], eps: Tensor) -> Float[Tensor, "b 3 h w"]:
        """Not clipped (equation 9, solved)."""
        return self.at(self.sqrt_recip_alphas_cumprod, t) * x - self.at(self.sqrt_recipm1_alphas_cumprod, t) * eps

    def eps_from_x0(self, x: Tensor, t: Int[Tensor, " b"], x0: Tensor) -> Float[Tensor, "b 3 h w"]:
        """The inverse of `x0_from_eps`."""
        return (self.at(self.sqrt_recip_alphas_cumprod, t) * x - x0) / self.at(self.sqrt_recipm1_alphas_cumprod, t)

    def posterior_mean(self, x0: Tensor, x: Tensor, t: Int[Tensor, " b"]) -> Float[Tensor, "b 3 h w"]:
        """Of x_{t-1} given x_0 and x_t (equation 11)."""
        return self.at(self.posterior_mean_coef1, t) * x0 + self.at(self.posterior_mean_coef2, t) * x

    def velocity(self, x0: Tensor, t: Int[Tensor, " b"], noise: Tensor) -> Float[Tensor, "b 3 h w"]:
        """sqrt(alphas_cumprod) noise - sqrt(1 - alphas_cumprod) x0 (Salimans & Ho, arXiv 2202.00512, appendix D)."""
        signal, spread = self.signal_and_spread(t)
        return signal * noise - spread * x0

    def x0_from_v(self, x: Tensor, t: Int[Tensor, " b"], v: Tensor) -> Float[Tensor, "b 3 h w"]:
        """sqrt(alphas_cumprod) x_t - sqrt(1 - alphas_cumprod) v, not clipped (ibid.)."""
        signal, spread = self.signal_and_spread(t)
        return signal * x - spread * v

    def signal_and_spread(self, t: Int[Tensor, " b"]) -> tuple[Float32[Tensor, "b 1 1 1"], Float32[Tensor, "b 1 1 1"]]:
        """sqrt(alphas_cumprod) and sqrt(1 - alphas_cumprod)."""
        return self.at(np.sqrt(self.alphas_cumprod), t), self.at(np.sqrt(1.0 - self.alphas_cumprod), t)
