"""The sampler against closed forms."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from diffusers import DDPMScheduler

from baselines.diffusion.solver import sample
from baselines.monster.sampling import NOISE_SCHEDULE, solver

A = DDPMScheduler(**NOISE_SCHEDULE).alphas_cumprod


class Gaussian:
    """The exact velocity of data that is N(mean, std^2) in every value; the mean is what `pooled` says."""

    def __init__(self, std: float) -> None:
        self.std = std

    def __call__(self, x, t, hidden, class_labels):
        a = A[int(t[0])]
        mean = class_labels[:, :1, None, None]
        # E[x0 | x] and E[noise | x] of jointly Gaussian variables.
        variance = a * self.std**2 + 1 - a
        x0 = mean + a.sqrt() * self.std**2 / variance * (x - a.sqrt() * mean)
        noise = (x - a.sqrt() * x0) / (1 - a).sqrt()
        return SimpleNamespace(sample=a.sqrt() * noise - (1 - a).sqrt() * x0)


def conditions(values: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(len(values), 3, 4), torch.tensor(values)[:, None].expand(-1, 4)


@pytest.mark.usefixtures("unchecked")
def test_it_draws_the_distribution_that_the_network_knows():
    noise = torch.randn(512, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    drawn = sample(
        Gaussian(0.5), solver(), noise, conditions([1.5] * 512), conditions([0.0]), steps=40, guidance_scale=1.0
    )
    # This schedule ends with a little signal left (SNR > 0), which pure noise lacks: the exact flow carries its start
    # (x - sqrt(a) mean) / sqrt(a std^2 + 1 - a) over as a quantile, so the mean arrives a little short.
    a = A[-1].item()
    expected = 1.5 + 0.5 * (0 - a**0.5 * 1.5) / (a * 0.25 + 1 - a) ** 0.5
    assert drawn.mean().item() == pytest.approx(expected, abs=0.02)
    assert drawn.std().item() == pytest.approx(0.5, abs=0.02)


@pytest.mark.usefixtures("unchecked")
def test_guidance_moves_away_from_no_prompt():
    noise = torch.randn(64, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    text, empty = conditions([1.0] * 64), conditions([0.0])
    plain, guided = (
        sample(Gaussian(0.3), solver(), noise, text, empty, steps=20, guidance_scale=scale) for scale in (1.0, 3.0)
    )
    # With equal variances the guided score is that of N(u + s (c - u), std^2): the mean goes from 1 to 3.
    assert plain.mean().item() == pytest.approx(1.0, abs=0.03)
    assert guided.mean().item() == pytest.approx(3.0, abs=0.05)


@pytest.mark.usefixtures("unchecked")
def test_images_do_not_depend_on_their_neighbours():
    noise = torch.randn(4, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    text, empty = conditions([1.0, -1.0, 0.5, 2.0]), conditions([0.0])
    together = sample(Gaussian(0.3), solver(), noise, text, empty, steps=6, guidance_scale=2.0)
    alone = sample(Gaussian(0.3), solver(), noise[2:3], tuple(c[2:3] for c in text), empty, steps=6, guidance_scale=2.0)
    assert torch.equal(together[2:3], alone)
