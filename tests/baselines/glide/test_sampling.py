"""Trajectories against OpenAI's: each sampler, each guidance, upsampling; and inpainting by what it must keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
import torch
from rounding import assert_rounded, terms_of, tolerance
from torch import Tensor
from torch.testing import assert_close

from baselines.diffusion.samplers import Denoiser, Gradient, Known, Step, ancestral, ddim, with_learned_variance
from baselines.glide.blocks import TextStates
from baselines.glide.noised_clip import NoisedClip, clip_gradient
from baselines.glide.pipeline import denoiser_of, diffusion_of, rounded
from baselines.glide.unet import UNet

pytestmark = pytest.mark.usefixtures("no_grad")


@pytest.fixture
def no_grad():
    with torch.no_grad():
        yield


@pytest.fixture
def data(golden: Callable) -> dict[str, Tensor]:
    return golden("sampling_base")


@pytest.fixture
def base(reference_unet: Callable) -> UNet:
    return reference_unet("base")


def recorded(noise: Tensor) -> Callable[[], Tensor]:
    """Draws the noise of the reference, step by step."""
    steps = iter(noise)
    return lambda: next(steps)


def compare(steps: Iterable[Step], name: str, data: dict[str, Tensor], model: UNet) -> None:
    """With the steps of the reference that are kept; each adds the rounding of its network to that of those before."""
    steps, samples, pred_x0 = list(steps), data[f"{name}samples"], data[f"{name}pred_xstart"]
    kept = [steps[index] for index in data["kept"].tolist()]
    assert kept[-1] is steps[-1]
    atol = len(steps) * tolerance(terms_of(model), samples.abs().max().item())
    assert_close(torch.stack([step.sample for step in kept]), samples, atol=atol, rtol=0)
    assert_close(torch.stack([step.pred_x0 for step in kept]), pred_x0, atol=atol, rtol=0)


@pytest.fixture
def prompted(base: UNet, data: dict[str, Tensor]) -> Denoiser:
    text = base.encode_text(data["tokens"], data["mask"])
    return denoiser_of(base, text, text, 1)


@pytest.fixture
def guided(base: UNet, data: dict[str, Tensor]) -> Denoiser:
    empty = base.encode_text(data["uncond_tokens"], data["uncond_mask"])
    text = base.encode_text(data["tokens"], data["mask"])
    return denoiser_of(base, text, TextStates(*(state[:1] for state in empty)), data["cfg.scale"].item())


@pytest.fixture
def gradient(reference_clip: NoisedClip, base: UNet, data: dict[str, Tensor]) -> Gradient:
    text = reference_clip.embed_texts(data["clip.tokens"], data["clip.text_len"])
    return clip_gradient(reference_clip, text, diffusion_of(base.config, "10"), data["clip.grad_scale"].item())


@pytest.mark.parametrize("name", ["p", "ddim", "ddim_eta0.5"])
def test_a_trajectory_is_the_references(name: str, base: UNet, prompted: Denoiser, data: dict[str, Tensor]) -> None:
    diffusion, noise = diffusion_of(base.config, "10"), recorded(data["noise"])
    predict = with_learned_variance(diffusion, prompted)
    steps = {
        "p": lambda: ancestral(diffusion, predict, data["x_T"], noise),
        "ddim": lambda: ddim(diffusion, predict, data["x_T"]),
        "ddim_eta0.5": lambda: ddim(diffusion, predict, data["x_T"], noise, eta=0.5),
    }[name]()
    compare(steps, f"{name}.", data, base)


@pytest.mark.parametrize("name", ["p", "ddim"])
def test_classifier_free_guidance_is_the_references(
    name: str, base: UNet, guided: Denoiser, data: dict[str, Tensor]
) -> None:
    sampler = {"p": ancestral, "ddim": ddim}[name]
    diffusion = diffusion_of(base.config, "10")
    steps = sampler(diffusion, with_learned_variance(diffusion, guided), data["x_T"], recorded(data["noise"]))
    compare(steps, f"cfg_{name}.", data, base)


def test_clip_guided_ancestral_sampling_is_the_references(
    base: UNet, prompted: Denoiser, gradient: Gradient, data: dict[str, Tensor]
) -> None:
    diffusion, noise = diffusion_of(base.config, "10"), recorded(data["noise"])
    steps = ancestral(diffusion, with_learned_variance(diffusion, prompted), data["x_T"], noise, gradient=gradient)
    compare(steps, "clip_p.", data, base)


def test_clip_guided_ddim_is_the_references(
    base: UNet, prompted: Denoiser, gradient: Gradient, data: dict[str, Tensor]
) -> None:
    largest = 0.0  # of x_t, from which x_0 is computed: float32 keeps seven of its digits
    diffusion = diffusion_of(base.config, "10")
    steps = ddim(diffusion, with_learned_variance(diffusion, prompted), data["x_T"], gradient=gradient)
    for step, sample, x0 in zip(steps, data["clip_ddim.samples"], data["clip_ddim.pred_xstart"], strict=True):
        assert_close(step.pred_x0, x0, atol=1e-5 * max(largest, x0.abs().max().item()), rtol=0)
        largest = sample.abs().max().item()
        assert_close(step.sample, sample, atol=max(2e-4, 1e-5 * largest), rtol=0)


def test_both_guidances_together_pull_as_each_does(
    base: UNet, guided: Denoiser, prompted: Denoiser, gradient: Gradient, data: dict[str, Tensor]
) -> None:
    diffusion = diffusion_of(base.config, "10")

    def first(denoiser: Denoiser, gradient: Gradient | None = None) -> Tensor:
        predict, noise = with_learned_variance(diffusion, denoiser), recorded(data["noise"])
        return next(ancestral(diffusion, predict, data["x_T"], noise, gradient=gradient)).sample

    # In one step CLIP's part is the variance times the gradient at x_T, whatever the denoiser's eps.
    by_clip = first(prompted, gradient) - first(prompted)
    assert by_clip.abs().max() > 0.01
    assert_close(first(guided, gradient), first(guided) + by_clip, atol=2e-4, rtol=0)


def test_a_scale_of_one_is_no_guidance(base: UNet, prompted: Denoiser, data: dict[str, Tensor]) -> None:
    text = base.encode_text(data["tokens"], data["mask"])
    empty = TextStates(*(state[:1] for state in base.encode_text(data["uncond_tokens"], data["uncond_mask"])))
    t = torch.tensor([500, 500])
    almost = denoiser_of(base, text, empty, 1 + 1e-7)(data["x_T"], t)
    assert_rounded(denoiser_of(base, text, empty, 1)(data["x_T"], t), almost, terms_of(base))


def test_one_step_is_the_references(base: UNet, prompted: Denoiser, data: dict[str, Tensor]) -> None:
    diffusion, x, t = diffusion_of(base.config, "10"), data["step.x"], data["step.t"]
    prediction = diffusion.prediction(prompted(x, diffusion.train_timesteps(t)), t)
    x0 = with_learned_variance(diffusion, prompted)(x, t).x0
    for ours, name in (
        (prediction.log_variance, "log_variance"),
        (prediction.log_variance.exp(), "variance"),
        (diffusion.x0_from_eps(x, t, prediction.eps), "pred_xstart_unclipped"),
        (x0, "pred_xstart"),
        (diffusion.posterior_mean(x0, x, t), "mean"),
    ):
        assert_rounded(ours, data[f"step.{name}"], terms_of(base))


def test_noising_is_the_references(base: UNet, data: dict[str, Tensor]) -> None:
    x0 = data["step.x"].clamp(-1, 1)
    noised = diffusion_of(base.config, "10").q_sample(x0, data["q_sample.t"], data["noise"][0])
    assert_close(noised, data["q_sample.out"], atol=1e-6, rtol=0)


def test_upsampling_is_the_references(reference_unet: Callable, golden: Callable) -> None:
    model, data = reference_unet("upsample"), golden("sampling_upsample")
    low_res = rounded(data["low_res"])
    assert torch.equal(low_res, data["low_res_rounded"])
    text, diffusion = model.encode_text(data["tokens"], data["mask"]), diffusion_of(model.config, "fast27")
    predict = with_learned_variance(diffusion, denoiser_of(model, text, text, 1, low_res=low_res))
    steps = ddim(diffusion, predict, 0.997 * data["x_T"])
    compare(steps, "", data, model)


@pytest.mark.parametrize("sampler", [ancestral, ddim])
def test_known_pixels_are_kept_and_steer_the_others(
    sampler: Callable, base: UNet, prompted: Denoiser, data: dict[str, Tensor]
) -> None:
    mask = torch.zeros(2, 1, 16, 16)
    mask[:, :, :, :8] = 1
    image = data["ddim.samples"][-1].clamp(-1, 1)
    diffusion = diffusion_of(base.config, "10")
    free, steps = (
        list(
            sampler(diffusion, with_learned_variance(diffusion, prompted, known), data["x_T"], recorded(data["noise"]))
        )
        for known in (None, Known(image, mask))
    )
    for step in steps:
        assert torch.equal(step.pred_x0[..., :8], image[..., :8])
    assert_close(steps[-1].sample[..., :8], image[..., :8], atol=1e-5, rtol=0)
    # The first x_0 beside the known pixels is what it would be; what the network says later follows from them.
    assert torch.equal(steps[0].pred_x0[..., 8:], free[0].pred_x0[..., 8:])
    assert not torch.allclose(steps[-1].sample[..., 8:], free[-1].sample[..., 8:], atol=0.01)
