"""The two stages of drawing: the base model from noise, the upsampler from its image; and pixels in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from baselines.diffusion.guidance import classifier_free
from baselines.diffusion.noise import randn
from baselines.diffusion.process import Diffusion
from baselines.diffusion.samplers import Denoiser, Gradient, Known, ancestral, ddim, noise_of, with_learned_variance
from baselines.diffusion.schedules import betas, respace
from baselines.glide.config import UNetConfig
from baselines.glide.text_transformer import TextStates
from baselines.glide.tokenizer import TextTokenizer
from baselines.glide.unet import UNet
from baselines.pixels import to_arrays


def diffusion_of(config: UNetConfig, spacing: str | None = None) -> Diffusion:
    """The process that a model was trained on, respaced (`respace`) to draw."""
    steps = config.train_timesteps
    return Diffusion(betas(config.noise_schedule, steps), None if spacing is None else respace(steps, spacing))


def encode(unet: UNet, tokenizer: TextTokenizer, prompts: Sequence[str]) -> TextStates:
    """The prompts as `unet` sees them, in its precision and on its device."""
    tokens, mask = (one.to(unet.device) for one in tokenizer(prompts))
    return unet.encode_text(tokens, mask)


def denoiser_of(
    unet: UNet, text: TextStates, empty: TextStates, guidance_scale: float, **images: Tensor | None
) -> Denoiser:
    """`unet` given prompts and the images that it sees beside x_t, `known` and `low_res`.

    Guidance moves eps; the variance stays the prompt's.
    """
    seen = {name: image for name, image in images.items() if image is not None}

    def network(x: Tensor, timesteps: Tensor, hidden: Tensor, pooled: Tensor, *images: Tensor) -> Tensor:
        return unet(x, timesteps, TextStates(hidden, pooled), **dict(zip(seen, images, strict=True)))

    conditions, without = (*text, *seen.values()), (*empty, *seen.values())
    return classifier_free(network, conditions, without, guidance_scale, channels=3)


def draw(
    unet: UNet,
    tokenizer: TextTokenizer,
    prompts: Sequence[str],
    generators: Sequence[torch.Generator],
    diffusion: Diffusion,
    *,
    sampler: str,
    guidance_scale: float = 1.0,
    gradient: Gradient | None = None,
    known: Known | None = None,
    low_res: Tensor | None = None,
    temperature: float = 1.0,
    on_step: Callable[[], None] = lambda: None,
) -> Float32[Tensor, "b 3 h w"]:
    """One stage, from noise to images in about -1 … 1.

    Args:
        unet: a base model, or an upsampler with `low_res`.
        generators: one stream of noise for each image.
        sampler: `ancestral` or `ddim`.
        guidance_scale: classifier-free; 1 is none.
        gradient: of a noised CLIP.
        known: pixels to keep; an inpainting model also sees them.
        temperature: of the noise that it starts from.
        on_step: called after each step.
    """
    text = encode(unet, tokenizer, prompts)
    empty = encode(unet, tokenizer, [""])
    seen = None if known is None else torch.cat([known.image * known.mask, known.mask], dim=1)
    denoiser = denoiser_of(unet, text, empty, guidance_scale, known=seen, low_res=low_res)
    if unet.config.predicts == "x0":
        denoiser = noise_of(denoiser, diffusion_of(unet.config))
    size = unet.config.image_size
    draw_noise = partial(randn, generators, (3, size, size), unet.device)
    x = draw_noise() * temperature
    for step in {"ancestral": ancestral, "ddim": ddim}[sampler](
        diffusion, with_learned_variance(diffusion, denoiser, known), x, draw_noise, gradient=gradient
    ):
        x = step.sample
        on_step()
    return x


def rounded(images: Float32[Tensor, "b 3 h w"]) -> Float32[Tensor, "b 3 h w"]:
    """-1 … 1 on the grid of 8-bit pixels: what the upsampler was trained to start from."""
    return ((images + 1) * 127.5).round() / 127.5 - 1


def to_pixels(images: Float32[Tensor, "b 3 h w"]) -> UInt8[np.ndarray, "b h w 3"]:
    """-1 … 1 to 0 … 255, clipped, rounded as `rounded` does (`baselines.pixels` may differ by one in a last bit)."""
    return to_arrays(((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8))


def from_pixels(pixels: UInt8[np.ndarray, "b h w 3"], device: Any = None) -> Float32[Tensor, "b 3 h w"]:
    """0 … 255 to -1 … 1."""
    return torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
