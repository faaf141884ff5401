"""The sampler against diffusers' scheduler and pipeline: as distributions, and number by number without chance."""

from __future__ import annotations

import pytest
import torch
from diffusers import Transformer2DModel, VQDiffusionPipeline, VQDiffusionScheduler

from baselines.diffusion.noise import seeded_generators
from baselines.vq_diffusion import sampling
from baselines.vq_diffusion.sampling import draw_earlier, draw_last, draw_truncated, sample, unmask_purest
from baselines.vq_diffusion.transformer import logits, with_time_per_image

CODES, TIMESTEPS, DRAWS = 5, 10, 40_000
SCHEDULES = [{}, {"gamma_cum_end": 0.9}]


def log_probability(seed: int = 0) -> torch.Tensor:
    return torch.log_softmax(2 * torch.randn(CODES, generator=torch.Generator().manual_seed(seed)), 0)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("t", [1, 4, TIMESTEPS - 1])
@pytest.mark.parametrize("code", [0, 3, CODES])
def test_a_step_has_the_distribution_of_the_schedulers(schedule, t, code):
    scheduler = VQDiffusionScheduler(CODES + 1, TIMESTEPS, **schedule)
    x_t = torch.full((1, 1), code)
    expected = scheduler.q_posterior(log_probability()[None, :, None], x_t, t)[0, :, 0].exp()
    expected = expected / expected.sum()
    generator = torch.Generator().manual_seed(1)
    # p(x0 | x_t), of which the scheduler's is the average over q(x_{t-1} | x_t, x0).
    x0 = torch.multinomial(log_probability().exp(), DRAWS, replacement=True, generator=generator)[None]
    drawn = draw_earlier(scheduler, t, t - 1, x_t.expand(1, DRAWS), x0, *torch.rand(2, 1, DRAWS, generator=generator))
    measured = drawn.flatten().bincount(minlength=CODES + 1) / DRAWS
    assert torch.allclose(measured, expected, atol=0.012)  # five standard deviations of a share of one half


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_many_steps_at_once_are_as_many_after_one_another(schedule):
    scheduler = VQDiffusionScheduler(CODES + 1, TIMESTEPS, **schedule)
    generator = torch.Generator().manual_seed(2)
    x0 = torch.full((1, DRAWS), 2)
    for start in (1, 2, CODES):
        at_once = torch.full((1, DRAWS), start)
        by_steps = at_once.clone()
        for t in range(8, 3, -1):
            by_steps = draw_earlier(scheduler, t, t - 1, by_steps, x0, *torch.rand(2, 1, DRAWS, generator=generator))
        at_once = draw_earlier(scheduler, 8, 3, at_once, x0, *torch.rand(2, 1, DRAWS, generator=generator))
        shares = [drawn.flatten().bincount(minlength=CODES + 1) / DRAWS for drawn in (at_once, by_steps)]
        assert torch.allclose(*shares, atol=0.017)


def test_purity_unmasks_as_many_places_and_rather_the_sure_ones():
    places, mask, draws = 6, CODES, 4000
    generator = torch.Generator().manual_seed(5)
    codes = torch.tensor([mask, mask, mask, mask, 1, 2]).expand(draws, places)
    earlier = codes.clone()
    earlier[:, 0] = 3  # one place leaves the mask ...
    earlier[:, 5] = 4  # ... and one that had is replaced
    x0 = torch.arange(places).expand(draws, places) % CODES
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0, 9.0, 9.0])
    drawn = unmask_purest(
        codes, earlier, x0, weight.log().expand(draws, -1), torch.rand(draws, places, generator=generator), mask
    )
    assert ((drawn != mask).sum(1) == 3).all()
    assert (drawn[:, 4:] == torch.tensor([1, 4])).all()
    left = drawn[:, :4] != mask
    assert torch.equal(drawn[:, :4][left], x0[:, :4][left])
    assert torch.allclose(left.float().mean(0), weight[:4] / 10, atol=0.04)  # five standard deviations of a half


def test_the_canvas_starts_with_the_schedules_share_of_masks():
    for schedule, share in (({}, 0.99999), ({"gamma_cum_end": 0.9}, 0.9)):
        scheduler = VQDiffusionScheduler(CODES + 1, TIMESTEPS, **schedule)
        x = draw_last(scheduler, *torch.rand(2, 1, DRAWS, generator=torch.Generator().manual_seed(3)))
        counts = x.flatten().bincount(minlength=CODES + 1) / DRAWS
        assert counts[CODES] == pytest.approx(share, abs=0.008)
        assert torch.allclose(counts[:CODES], torch.full((CODES,), (1 - share) / CODES), atol=0.004)


@pytest.mark.parametrize("rate", [0.3, 0.7, 0.9, 1.0])
def test_truncation_keeps_what_the_pipeline_keeps(pipeline: VQDiffusionPipeline, rate):
    log_p = log_probability(5)
    kept = pipeline.truncate(log_p[None, :, None], rate)[0, :, 0].exp()
    probability = log_p.exp()
    uniform = torch.rand(1, DRAWS, generator=torch.Generator().manual_seed(4))
    drawn = draw_truncated(probability.expand(1, DRAWS, CODES), rate, uniform)
    measured = drawn.flatten().bincount(minlength=CODES) / DRAWS
    assert torch.allclose(measured, kept / kept.sum(), atol=0.012)
    assert set(drawn.unique().tolist()) <= set(kept.nonzero().flatten().tolist())


@pytest.mark.parametrize("sharpness", [0.1, 1.0, 8.0])
def test_looking_at_the_likely_codes_first_changes_nothing(monkeypatch: pytest.MonkeyPatch, sharpness: float):
    generator = torch.Generator().manual_seed(6)
    probability = (sharpness * torch.randn(3, 50, 40, generator=generator)).softmax(-1)
    uniform = torch.rand(3, 50, generator=generator)
    drawn = []
    for likely in (40, 4):
        monkeypatch.setattr(sampling, "LIKELY", likely)
        drawn.append(draw_truncated(probability, 0.9, uniform))
    assert torch.equal(*drawn)


def test_the_ends_of_the_uniform_numbers_are_codes():
    ends = torch.tensor([[0.0, 1 - 2**-24]])
    probability = torch.tensor([0.0, 0.6, 0.4, 0.0]).expand(1, 2, 4)
    assert draw_truncated(probability, 1.0, ends).tolist() == [[1, 2]]
    scheduler = VQDiffusionScheduler(2888, TIMESTEPS)
    x = draw_earlier(scheduler, 5, 2, torch.full((1, 2), 2887), torch.tensor([[7, 2886]]), ends, ends)
    assert int(x.max()) <= 2887


def test_logits_are_the_transformers(pipeline: VQDiffusionPipeline):
    transformer = pipeline.transformer
    codes = torch.randint(13, (3, 16), generator=torch.Generator().manual_seed(6))
    text = torch.randn(3, 16, 32, generator=torch.Generator().manual_seed(7))
    copy = Transformer2DModel.from_config(transformer.config).eval()
    copy.load_state_dict(transformer.state_dict())
    with_time_per_image(copy)
    assert copy.state_dict().keys() == transformer.state_dict().keys()
    with torch.no_grad():
        together = logits(copy, codes, torch.tensor([9, 2, 0]), text)
        for row, t in enumerate((9, 2, 0)):
            expected = transformer(codes[row : row + 1], text[row : row + 1], torch.tensor(t), return_dict=False)[0]
            assert torch.allclose(together[row].log_softmax(-1), expected[0].T, atol=1e-5)


def test_without_chance_it_draws_what_the_pipeline_draws(pipeline: VQDiffusionPipeline):
    """Truncated to the likeliest code and with a transformer that is sure of it, one step leaves nothing to chance."""
    transformer = Transformer2DModel.from_config(pipeline.transformer.config).eval()
    transformer.load_state_dict(pipeline.transformer.state_dict())
    with_time_per_image(transformer)
    text = torch.randn(4, 16, 32, generator=torch.Generator().manual_seed(8))
    null = torch.randn(16, 32, generator=torch.Generator().manual_seed(9))
    drawn = sample(
        transformer,
        pipeline.scheduler,
        seeded_generators(range(4)),
        text,
        null,
        steps=1,
        guidance_scale=3.0,
        truncation_rate=1e-6,
    )
    canvas = torch.full((4, 16), 12)
    last = torch.tensor(9)
    with torch.no_grad():
        with_prompt = pipeline.transformer(canvas, text, last, return_dict=False)[0]
        without = pipeline.transformer(canvas, null.expand_as(text), last, return_dict=False)[0]
    assert torch.equal(drawn, (without + 3.0 * (with_prompt - without)).argmax(1))
