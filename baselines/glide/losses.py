"""What GLIDE's UNets are trained on: the noise, and the variance by the variational bound."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from baselines.diffusion.process import Diffusion

SNR_GAMMA = 5.0
LEAST_WEIGHT, MOST_WEIGHT = 0.3, 8.0  # of a velocity's error; of the noise's, in the noisiest times
VARIANCE_WEIGHT = 0.1  # of the bound beside the squared error of x_0, which is as much smaller than that of eps
_HALF_BIN = 1 / 255  # of an 8-bit value in -1 … 1


Images = Float32[Tensor, "b 3 h w"]
Output = Float32[Tensor, "b 6 h w"]
Timesteps = Int64[Tensor, " b"]


def hybrid_loss(
    diffusion: Diffusion, output: Output, x0: Images, noise: Images, x: Images, t: Timesteps
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """L_simple + λ L_vlb (Nichol & Dhariwal, arXiv 2102.09672, section 3.1, equation 16), and both for the log.

    λ = 1/1000 and L_vlb, the sum over all timesteps, is estimated by `len(diffusion)` times that of one. It trains the
    variance alone: the mean is detached in it, as there. L_simple is weighted by min-SNR-5 (Hang et al., arXiv
    2303.09556, section 3.4, for eps), which makes short trainings spend less on the last, hardly noisy steps; but no
    time by less than 0.3 of what the error of the velocity would count: the colours are settled where little is to be
    seen but noise, and there the error of the noise hardly shows them.
    """
    weight = diffusion.at(simple_weight(diffusion), t).flatten()
    squared = (output[:, :3] - noise).square().mean(dim=(1, 2, 3))
    simple = (weight * squared).mean() / weight.mean()
    bound = len(diffusion) / 1000 * variational_bound(diffusion, output, x0, x, t).mean()
    return simple + bound, {"mse": squared.detach().mean(), "vlb": bound.detach()}


def image_loss(
    diffusion: Diffusion, output: Output, x0: Images, x: Images, t: Timesteps
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """As `hybrid_loss` for a model that predicts x_0: its squared error, at all timesteps alike, and L_vlb."""
    predicted, v = output.chunk(2, dim=1)
    simple = (predicted - x0).square().mean()
    noise = diffusion.eps_from_x0(x, t, predicted.detach())
    bound = len(diffusion) / 1000 * variational_bound(diffusion, torch.cat([noise, v], dim=1), x0, x, t).mean()
    return simple + VARIANCE_WEIGHT * bound, {"mse": simple.detach(), "vlb": bound.detach()}


def variational_bound(
    diffusion: Diffusion, output: Output, x0: Images, x: Images, t: Timesteps
) -> Float32[Tensor, " b"]:
    """L_{t-1}, for t = 0 the discretised L_0 (equations 4 to 6), in bits per value; no gradient reaches eps."""
    prediction = diffusion.prediction(output, t)
    mean = diffusion.posterior_mean(diffusion.x0_from_eps(x, t, prediction.eps.detach()), x, t)
    true_mean = diffusion.posterior_mean(x0, x, t)
    true_log_variance = diffusion.at(diffusion.posterior_log_variance_clipped, t)
    divergence = normal_kl(true_mean, true_log_variance, mean, prediction.log_variance)
    likelihood = discretised_log_likelihood(x0, mean, 0.5 * prediction.log_variance)
    per_value = torch.where((t == 0)[:, None, None, None], -likelihood, divergence)
    return per_value.mean(dim=(1, 2, 3)) / math.log(2)


def normal_kl(mean1: Tensor, log_variance1: Tensor, mean2: Tensor, log_variance2: Tensor) -> Tensor:
    """KL(N1 ‖ N2) of each value, in nats."""
    ratio = log_variance1 - log_variance2
    return 0.5 * (-1 - ratio + ratio.exp() + (mean1 - mean2).square() * (-log_variance2).exp())


def discretised_log_likelihood(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Log probability of 8-bit values `x` (-1 … 1) under a normal distribution that is cut into 256 bins, in nats.

    Ho et al., arXiv 2006.11239, equation 13: the outermost bins reach to infinity.
    """
    normal = torch.distributions.Normal(0.0, 1.0)
    upper = torch.where(x > 0.999, 1.0, normal.cdf((x - mean + _HALF_BIN) * (-log_scale).exp()))
    lower = torch.where(x < -0.999, 0.0, normal.cdf((x - mean - _HALF_BIN) * (-log_scale).exp()))
    return (upper - lower).clamp(min=1e-12).log()


def simple_weight(diffusion: Diffusion) -> np.ndarray:
    """What the squared error of eps counts at each timestep."""
    snr = diffusion.alphas_cumprod / (1 - diffusion.alphas_cumprod)
    # The velocity's squared error is (1 + snr) times x_0's, that of eps snr times.
    return np.minimum(np.maximum(np.minimum(snr, SNR_GAMMA), LEAST_WEIGHT * (1 + snr)) / snr, MOST_WEIGHT)
