"""The two forms of guidance against a plain re-implementation, image by image.

In float64, so that what differs is the formula: a gradient of float32 cancels down to few digits, on each chip others.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from baselines.clip_guided import guidance
from baselines.clip_guided.diffusion import diffusion
from baselines.clip_guided.guide import Guide

PROMPTS = ["a red slime", "a blue slime number", "red red red"]


@pytest.fixture
def make_exact(make_guide: Callable[..., Guide]) -> Callable[..., Guide]:
    return lambda **options: make_guide(**options).double()


@pytest.fixture
def case() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """x_t, the process's steps and the predicted x_0 of three images."""
    generator = torch.Generator().manual_seed(0)
    x, x0 = torch.randn(2, 3, 3, 16, 16, generator=generator, dtype=torch.float64) * 0.5
    return x, torch.tensor([0, 4, 9]), x0


def texts(guide: Guide) -> torch.Tensor:
    return guide.text_features(guide.tokenizer(PROMPTS))


@pytest.mark.parametrize("noised", [False, True])
def test_raw_is_the_gradient_of_the_dot_product_on_x_t(noised: bool, make_exact: Callable, case: tuple) -> None:
    guide, process, (x, t, x0) = make_exact(noised=noised), diffusion(10), case
    found = guidance.raw(guide, texts(guide), process, 0.1)(x, t, x0)
    for k in range(3):
        one = x[k : k + 1].clone().requires_grad_()
        timesteps = torch.tensor([process.timestep_map[int(t[k])]]) if noised else None
        (guide.image_features(one, timesteps)[0] @ texts(guide)[k]).backward()
        torch.testing.assert_close(found[k], 0.1 * one.grad[0], atol=1e-9, rtol=1e-6)


def test_a_noised_guide_is_asked_about_x_t_and_t(make_exact: Callable, case: tuple) -> None:
    guide, process, (x, t, x0) = make_exact(noised=True), diffusion(10), case
    found = guidance.normalised(guide, texts(guide), process, 2.0)(x, t, x0)
    for k in range(3):
        one = x[k : k + 1].clone().requires_grad_()
        image = guide.image_features(one, torch.tensor([process.timestep_map[int(t[k])]]))
        torch.cosine_similarity(image, texts(guide)[k : k + 1]).sum().backward()
        expected = 2.0 * float(guide.logit_scale.exp()) * one.grad[0]
        torch.testing.assert_close(found[k], expected, atol=1e-9, rtol=1e-6)
    later = guidance.normalised(guide, texts(guide), process, 2.0)(x, (t + 3) % 10, x0)
    assert (later - found).abs().max() > 1e-3 * found.abs().max()


def test_what_all_texts_have_in_common_does_not_pull(make_exact: Callable, case: tuple) -> None:
    guide, process, (x, t, x0) = make_exact(noised=True), diffusion(10), case
    mean = torch.nn.functional.normalize(texts(guide), dim=1)[0]
    plain = guidance.normalised(guide, texts(guide), process, 2.0)(x, t, x0)
    towards_mean = guidance.normalised(guide, mean.expand(3, -1), process, 2.0)(x, t, x0)
    guide.text_mean.copy_(mean)
    found = guidance.normalised(guide, texts(guide), process, 2.0)(x, t, x0)
    assert found[0].abs().max() < 1e-9 < plain[0].abs().max()  # its prompt is the mean itself
    torch.testing.assert_close(found, plain - towards_mean, atol=1e-9, rtol=1e-6)


def test_another_guide_is_asked_about_the_predicted_picture(make_exact: Callable, case: tuple) -> None:
    """x0 = signal x_t - spread v with v held constant, so that the chain rule adds the signal."""
    guide, process, (x, t, v) = make_exact(), diffusion(10), case
    x, v = 0.3 * x, 0.3 * v  # nothing to clip
    found = guidance.normalised(guide, texts(guide), process, 2.0)(x, t, process.x0_from_v(x, t, v))
    alphas_cumprod = torch.from_numpy(process.alphas_cumprod)[t]  # whose square roots the process has as float32
    for k in range(3):
        one = x[k : k + 1].clone().requires_grad_()
        x0 = alphas_cumprod[k].sqrt() * one - (1 - alphas_cumprod[k]).sqrt() * v[k]
        assert x0.abs().max() < 1
        torch.cosine_similarity(guide.image_features(x0), texts(guide)[k : k + 1]).sum().backward()
        expected = 2.0 * float(guide.logit_scale.exp()) * one.grad[0]
        torch.testing.assert_close(found[k], expected, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("form", ["normalised", "raw"])
@pytest.mark.parametrize("noised", [False, True])
def test_a_gradient_is_that_images_own(form: str, noised: bool, make_exact: Callable, case: tuple) -> None:
    guide, process, (x, t, x0) = make_exact(noised=noised), diffusion(10), case
    make = getattr(guidance, form)
    together = make(guide, texts(guide), process, 1.0)(x, t, x0)
    for k in range(3):
        alone = make(guide, texts(guide)[k : k + 1], process, 1.0)(x[k : k + 1], t[k : k + 1], x0[k : k + 1])
        torch.testing.assert_close(alone[0], together[k], atol=1e-9, rtol=1e-6)


def test_guides_together_pull_with_the_sum(make_exact: Callable, case: tuple) -> None:
    process = diffusion(10)
    pulls = [guidance.normalised(g := make_exact(noised=k, seed=k), texts(g), process, 2.0) for k in (True, False)]
    torch.testing.assert_close(guidance.together(pulls)(*case), pulls[0](*case) + pulls[1](*case))
    assert torch.equal(guidance.together(pulls[:1])(*case), pulls[0](*case))


def test_only_the_raw_form_grows_with_the_features(make_exact: Callable, case: tuple) -> None:
    guide, process = make_exact(noised=True), diffusion(10)
    text = texts(guide)
    for form, factor in (("normalised", 1), ("raw", 5)):
        make = getattr(guidance, form)
        before, after = (make(guide, scale * text, process, 1.0)(*case) for scale in (1, 5))
        torch.testing.assert_close(after, factor * before, atol=1e-9, rtol=1e-6)
