"""What a latent diffusion model is trained on: the noised latents, the network's target, its weight, its x_0.

`alphas_cumprod` is that of the schedule that samples, one value for each example of a batch.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Prediction = Literal["v_prediction", "epsilon"]
Latents = Float[Tensor, "b c h w"]
PerExample = Float[Tensor, " b"]


def q_sample(x0: Latents, noise: Latents, alphas_cumprod: PerExample) -> Latents:
    """x_t of q(x_t | x_0) (Ho et al., arXiv 2006.11239, equation 4)."""
    a = alphas_cumprod.view(-1, 1, 1, 1)
    return a.sqrt() * x0 + (1 - a).sqrt() * noise


def target_of(prediction: Prediction, x0: Latents, noise: Latents, alphas_cumprod: PerExample) -> Latents:
    """The noise, or the velocity √ᾱ ε − √(1 − ᾱ) x_0 (Salimans & Ho, arXiv 2202.00512, appendix D)."""
    if prediction == "epsilon":
        return noise
    a = alphas_cumprod.view(-1, 1, 1, 1)
    return a.sqrt() * noise - (1 - a).sqrt() * x0


def x0_of(prediction: Prediction, output: Latents, x_t: Latents, alphas_cumprod: PerExample) -> Latents:
    """The estimate of x_0 that a network's output amounts to; differentiable by the output."""
    a = alphas_cumprod.view(-1, 1, 1, 1)
    if prediction == "epsilon":
        return (x_t - (1 - a).sqrt() * output) / a.sqrt()
    return a.sqrt() * x_t - (1 - a).sqrt() * output


def min_snr_weight(prediction: Prediction, alphas_cumprod: PerExample, gamma: float) -> PerExample:
    """min(SNR, γ) in units of the target's own error (Hang et al., arXiv 2303.09556, section 3.4)."""
    snr = alphas_cumprod / (1 - alphas_cumprod)
    return snr.clamp(max=gamma) / (snr if prediction == "epsilon" else snr + 1)


def denoising_loss(output: Latents, target: Latents, weight: PerExample | None = None) -> Float[Tensor, ""]:
    """Squared error, each example by its weight; the weights' mean should be 1, so that they do not change the rate."""
    if weight is None:
        return functional.mse_loss(output, target)
    return (weight * (output - target).square().mean(dim=(1, 2, 3))).mean()


def posterior_kl(x0: Latents, mean: Latents, std: Latents, least_std: float = 0.05) -> Float[Tensor, ""]:
    """KL(N(x0, σ²) ‖ N(mean, σ²)) per value in nats: an estimate of x_0 against the autoencoder's posterior.

    The estimate is taken to be as wide as the posterior, whose place alone it has to meet. `least_std` is the least σ,
    in units of scaled latents: an autoencoder that is nearly sure, as Stable Diffusion's is, would drown all else.
    """
    return (0.5 * ((x0 - mean) / std.clamp(min=least_std)).square()).mean()


def least_noised(alphas_cumprod: PerExample, fraction: float) -> Tensor:
    """The places, int64, of that fraction of a batch (one at least) whose noise is the least."""
    count = max(1, round(fraction * len(alphas_cumprod)))
    return torch.topk(alphas_cumprod, count).indices
