"""The schedule and the velocity against their formulas, written down once more."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from baselines.clip_guided.diffusion import (
    diffusion,
    sigmoid_betas,
    signal_and_spread,
    velocity,
    x0_from_v,
)
from baselines.clip_guided.sampling import ancestral
from submission.errors import UsageError


def test_the_sigmoid_schedule_is_the_papers() -> None:
    """Jabri et al., algorithm 1: (v_end - sigmoid(t (end - start) + start)) / (v_end - v_start)."""
    alphas_cumprod = np.cumprod(1 - sigmoid_betas(1000))
    for step in (1, 10, 500, 900, 990):
        v_start, v_end = (1 / (1 + math.exp(-edge)) for edge in (-3, 3))
        expected = (v_end - 1 / (1 + math.exp(-(step / 1000 * 6 - 3)))) / (v_end - v_start)
        assert alphas_cumprod[step - 1] == pytest.approx(expected, rel=1e-9)
    betas = sigmoid_betas(1000)
    assert ((betas > 0) & (betas <= 0.999)).all()
    assert betas[-1] == 0.999


def test_velocity_and_picture_are_each_others_inverse() -> None:
    process = diffusion()
    x0, noise = torch.randn(2, 5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([0, 1, 500, 998, 999])
    signal, spread = signal_and_spread(process, t)
    torch.testing.assert_close(signal**2 + spread**2, torch.ones_like(signal))
    v = velocity(process, x0, t, noise)
    torch.testing.assert_close(x0_from_v(process, process.q_sample(x0, t, noise), t, v), x0, atol=1e-5, rtol=1e-5)
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
        signal, spread = signal_and_spread(whole, timesteps)
        return (signal * x - x0) / spread

    stream = torch.Generator().manual_seed(2)
    drawn = ancestral(diffusion(12), knows, lambda: torch.randn(x0.shape, generator=stream))
    torch.testing.assert_close(drawn, x0, atol=1e-4, rtol=1e-4)


def test_a_gradient_moves_the_mean_by_the_variance_times_it() -> None:
    process = diffusion(2)
    noise = torch.zeros(1, 3, 4, 4)
    pull = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.01
    seen = []

    def still(x: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        seen.append(x)
        return torch.zeros_like(x)

    ancestral(process, still, lambda: noise, lambda x, t, v: pull)
    torch.testing.assert_close(seen[1], pull * float(process.posterior_variance[1]))
