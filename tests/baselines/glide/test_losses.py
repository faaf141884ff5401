"""The hybrid loss against its definitions: what each term is, and what it trains."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.diffusion.process import Diffusion
from baselines.diffusion.schedules import betas
from baselines.glide.losses import (
    VARIANCE_WEIGHT,
    discretised_log_likelihood,
    hybrid_loss,
    image_loss,
    normal_kl,
    variational_bound,
)


@pytest.fixture
def diffusion() -> Diffusion:
    return Diffusion(betas("squaredcos_cap_v2", 1000))


@pytest.fixture
def noised(diffusion: Diffusion) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x_0 of 8-bit values, noise, x_t and t, of both ends of the schedule and in between."""
    generator = torch.Generator().manual_seed(0)
    x0 = torch.randint(0, 256, (4, 3, 8, 8), generator=generator) / 127.5 - 1
    noise = torch.randn(x0.shape, generator=generator)
    t = torch.tensor([0, 10, 500, 990])
    return x0, noise, diffusion.q_sample(x0, t, noise), t


def test_the_divergence_is_that_of_normal_distributions() -> None:
    generator = torch.Generator().manual_seed(0)
    mean1, log_variance1, mean2, log_variance2 = torch.randn(4, 50, generator=generator)
    normal = torch.distributions.Normal
    first, second = normal(mean1, (log_variance1 / 2).exp()), normal(mean2, (log_variance2 / 2).exp())
    torch.testing.assert_close(
        normal_kl(mean1, log_variance1, mean2, log_variance2), torch.distributions.kl_divergence(first, second)
    )


@pytest.mark.parametrize("mean", [-1.5, 0.0, 0.31, 1.0])
def test_the_256_values_have_all_the_probability(mean: float) -> None:
    values = torch.arange(256, dtype=torch.float64) / 127.5 - 1
    log_scale = torch.full((256,), math.log(0.2), dtype=torch.float64)
    probabilities = discretised_log_likelihood(values, torch.full_like(values, mean), log_scale).exp()
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-6)
    assert probabilities.argmax().item() == pytest.approx(np.clip((mean + 1) * 127.5, 0, 255), abs=0.51)


def test_the_right_noise_and_variance_cost_nothing(diffusion: Diffusion, noised: tuple[Tensor, ...]) -> None:
    x0, noise, x, t = noised
    exact = torch.cat([noise, torch.full_like(noise, -1.0)], dim=1)  # v = -1: the posterior's variance
    bound = variational_bound(diffusion, exact, x0, x, t)
    assert bound[1:].abs().max() < 1e-4
    # L_0 is a likelihood: that of x_0 under a normal distribution around it, of the first posterior variance.
    scale = math.exp(0.5 * diffusion.posterior_log_variance_clipped[0])
    expected = -discretised_log_likelihood(x0[0], x0[0], torch.full_like(x0[0], math.log(scale))).mean() / math.log(2)
    assert bound[0].item() == pytest.approx(expected.item(), rel=1e-2)
    larger = torch.cat([noise, torch.full_like(noise, 1.0)], dim=1)
    # At t = 990 both variances are the same but for rounding.
    assert (variational_bound(diffusion, larger, x0, x, t)[1:3] > bound[1:3]).all()


def test_the_bound_trains_the_variance_alone(diffusion: Diffusion, noised: tuple[Tensor, ...]) -> None:
    x0, _, x, t = noised
    output = torch.randn(4, 6, 8, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
    variational_bound(diffusion, output, x0, x, t).sum().backward()
    assert output.grad is not None
    assert (output.grad[:, :3] == 0).all()
    assert all((gradient != 0).any() for gradient in output.grad[:, 3:])


def test_the_noise_is_weighted_by_min_snr_and_where_hardly_anything_else_is_seen(
    diffusion: Diffusion, noised: tuple[Tensor, ...]
) -> None:
    x0, noise, x, t = noised
    output = torch.randn(4, 6, 8, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
    loss, numbers = hybrid_loss(diffusion, output, x0, noise, x, t)
    loss.backward()
    alphas = torch.from_numpy(diffusion.alphas_cumprod)[t]
    # Of the error of x_0: min(snr, 5), but no less than 0.3 of the velocity's; at most 8 of the noise's.
    snr = alphas / (1 - alphas)
    weight = (torch.maximum(snr.clamp(max=5), 0.3 * (1 + snr)) / snr).clamp(max=8)
    torch.testing.assert_close(weight[:2], 0.3 / alphas[:2])
    assert weight[2] == 1
    assert weight[3] == 8
    squared = (output.detach()[:, :3] - noise).square().mean(dim=(1, 2, 3))
    simple = (weight * squared).sum() / weight.sum()
    bound = variational_bound(diffusion, output.detach(), x0, x, t).mean()
    assert loss.item() == pytest.approx((simple + bound).item(), rel=1e-5)
    assert numbers == {"mse": pytest.approx(squared.mean().item()), "vlb": pytest.approx(bound.item())}


def test_a_predicted_image_costs_its_squared_error(diffusion: Diffusion, noised: tuple[Tensor, ...]) -> None:
    x0, _, x, t = noised
    exact = torch.cat([x0, torch.full_like(x0, -1.0)], dim=1)
    loss, numbers = image_loss(diffusion, exact, x0, x, t)
    assert numbers["mse"] == 0
    assert loss.item() == pytest.approx(VARIANCE_WEIGHT * float(numbers["vlb"]), rel=1e-5)
    output = (exact + 0.1).requires_grad_()
    loss, numbers = image_loss(diffusion, output, x0, x, t)
    assert numbers["mse"] == pytest.approx(0.01, rel=1e-4)
    loss.backward()
    assert output.grad is not None
    torch.testing.assert_close(output.grad[:, :3], torch.full_like(x0, 2 * 0.1 / x0.numel()))  # and none of the bound
    assert (output.grad[:, 3:] != 0).any()
