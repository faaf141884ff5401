"""The process of a latent diffusion model against diffusers' scheduler, and its weights against their closed forms."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler

from baselines.monster.sampling import NOISE_SCHEDULE
from baselines.training import denoising
from baselines.training.denoising import denoising_loss, q_sample, target_of, x0_of

PREDICTIONS = ("v_prediction", "epsilon")
T = torch.tensor([0, 10, 500, 999])


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_process_is_that_of_the_sampling_scheduler(prediction: str) -> None:
    scheduler = DDPMScheduler(**NOISE_SCHEDULE | {"prediction_type": prediction}, clip_sample=False)
    x0, noise = torch.randn(2, 4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    a = scheduler.alphas_cumprod[T]
    x_t = q_sample(x0, noise, a)
    torch.testing.assert_close(x_t, scheduler.add_noise(x0, noise, T))
    target = target_of(prediction, x0, noise, a)
    torch.testing.assert_close(target, noise if prediction == "epsilon" else scheduler.get_velocity(x0, noise, T))
    torch.testing.assert_close(x0_of(prediction, target, x_t, a), x0, atol=1e-4, rtol=1e-4)
    for k, t in enumerate(T.tolist()):
        seen = scheduler.step(target[k : k + 1], t, x_t[k : k + 1]).pred_original_sample
        torch.testing.assert_close(seen, x0[k : k + 1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_min_snr_weighs_the_error_of_x0_by_the_clipped_ratio(prediction: str) -> None:
    a = DDPMScheduler(**NOISE_SCHEDULE).alphas_cumprod[T]
    x0, noise, wrong = torch.randn(3, 4, 3, 5, 5, generator=torch.Generator().manual_seed(0)).double()
    a = a.double()
    x_t, target = q_sample(x0, noise, a), target_of(prediction, x0, noise, a)
    output = target + 0.1 * wrong
    squared = (x0_of(prediction, output, x_t, a) - x0).square().mean(dim=(1, 2, 3))
    weighted = denoising.min_snr_weight(prediction, a, 5.0) * (output - target).square().mean(dim=(1, 2, 3))
    torch.testing.assert_close(weighted, (a / (1 - a)).clamp(max=5.0) * squared)


def test_weights_do_not_change_the_size_of_an_even_loss() -> None:
    output, target = torch.full((4, 1, 2, 2), 3.0), torch.ones(4, 1, 2, 2)
    assert denoising_loss(output, target) == 4
    assert denoising_loss(output, target, torch.tensor([0.5, 1.0, 1.5, 3.0])) == 6


def test_the_divergence_is_that_of_two_normal_distributions() -> None:
    x0, mean, std = torch.randn(3, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    std = std.abs() + 0.1
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(x0, std), normal(mean, std)).mean()
    torch.testing.assert_close(denoising.posterior_kl(x0, mean, std), expected)
    sure = torch.full_like(std, 1e-6)
    torch.testing.assert_close(
        denoising.posterior_kl(x0, mean, sure), denoising.posterior_kl(x0, mean, torch.full_like(std, 0.05))
    )


def test_the_least_noised_examples_are_picked() -> None:
    a = torch.tensor([0.1, 0.9, 0.5, 0.99, 0.2, 0.3, 0.4, 0.6])
    assert sorted(denoising.least_noised(a, 0.25).tolist()) == [1, 3]
    assert denoising.least_noised(a[:2], 0.25).tolist() == [1]
