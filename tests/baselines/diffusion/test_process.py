"""The schedule and the velocity against their formulas, written down once more."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from baselines.clip_guided.diffusion import diffusion
from baselines.diffusion.samplers import ancestral, with_posterior_variance
from baselines.diffusion.schedules import betas
from submission.errors import UsageError


def test_the_sigmoid_schedule_is_the_papers() -> None:
    """Jabri et al., algorithm 1: (v_end - sigmoid(t (end - start) + start)) / (v_end - v_start)."""
    alphas_cumprod = np.cumprod(1 - betas("sigmoid", 1000))
    for step in (1, 10, 500, 900, 990):
        v_start, v_end = (1 / (1 + math.exp(-edge)) for edge in (-3, 3))
        expected = (v_end - 1 / (1 + math.exp(-(step / 1000 * 6 - 3)))) / (v_end - v_start)
        assert alphas_cumprod[step - 1] == pytest.approx(expected, rel=1e-9)
    variances = betas("sigmoid", 1000)
    assert ((variances > 0) & (variances <= 0.999)).all()
    assert variances[-1] == 0.999


def test_velocity_and_picture_are_each_others_inverse() -> None:
    process = diffusion()
    x0, noise = torch.randn(2, 5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([0, 1, 500, 998, 999])
    signal, spread = process.signal_and_spread(t)
    torch.testing.assert_close(signal**2 + spread**2, torch.ones_like(signal))
    v = process.velocity(x0, t, noise)
    torch.testing.assert_close(process.x0_from_v(process.q_sample(x0, t, noise), t, v), x0, atol=1e-5, rtol=1e-5)
    # The velocity is the derivative of x_t by the angle whose cosine is the signal (Salimans & Ho, appendix D).
    angle = torch.atan2(spread, signal).double()
    step = 1e-5
    ahead, behind = ((a.cos() * x0 + a.sin() * noise) for a in (angle + step, angle - step))
    torch.testing.assert_close(v, ((ahead - behind) / (2 * step)).float(), atol=1e-4, rtol=1e-4)


def test_respaced_steps_share_the_noise_of_training() -> None:
    process, whole = diffusion(10), diffusion()
    assert len(process) == 10
    np.testing.assert_allclose(process.alphas_cumprod, whole.alphas_cumprod[process.timestep_map])
    with pytest.raises(UsageError, match="1001 steps"):
        diffusion(1001)


def test_sampling_with_a_perfect_network_returns_the_picture() -> None:
    """A network that knows the one picture there is: whatever the noise, every path must end at it."""
    x0 = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(1)) * 1.8 - 0.9
    whole = diffusion()

    def knows(x: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        signal, spread = whole.signal_and_spread(timesteps)
        return (signal * x - x0) / spread

    stream = torch.Generator().manual_seed(2)

    def draw_noise() -> torch.Tensor:
        return torch.randn(x0.shape, generator=stream)

    process = diffusion(12)
    *_, last = ancestral(process, with_posterior_variance(process, knows), draw_noise(), draw_noise)
    torch.testing.assert_close(last.sample, x0, atol=1e-4, rtol=1e-4)


def test_a_gradient_moves_the_mean_by_the_variance_times_it() -> None:
    process = diffusion(2)
    noise = torch.zeros(1, 3, 4, 4)
    pull = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.01
    seen = []

    def still(x: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        seen.append(x)
        return torch.zeros_like(x)

    predict = with_posterior_variance(process, still)
    list(ancestral(process, predict, noise, lambda: noise, gradient=lambda x, t, x0: pull))
    torch.testing.assert_close(seen[1], pull * float(process.posterior_variance[1]))
