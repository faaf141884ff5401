"""GLIDE, prompts in, images out: the base model from noise, guided, then the upsampler from its image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor
from torch.nn import functional as F

from baselines.diffusion.batches import in_fixed_batches
from baselines.diffusion.guidance import classifier_free
from baselines.diffusion.noise import randn, seeded_generators
from baselines.diffusion.process import Diffusion
from baselines.diffusion.samplers import Denoiser, Gradient, Known, ancestral, ddim, noise_of, with_learned_variance
from baselines.diffusion.schedules import betas, respace
from baselines.generator import notes_on
from baselines.glide.blocks import TextStates
from baselines.glide.config import UNetConfig
from baselines.glide.noised_clip import clip_gradient
from baselines.glide.openai import CLIP_FILES
from baselines.glide.tokenizer import ClipTokenizer, TextTokenizer
from baselines.glide.unet import UNet
from baselines.glide.weights import Folder, on_hardware
from baselines.hardware import Hardware
from baselines.pixels import to_arrays
from submission import Competition, Prompt

OWN_CLIP_BATCH = 64


class Glide:
    """GLIDE in the form that `baselines.generator` describes.

    Args:
        weights: a folder with OpenAI's or your own; None: the shipped ones.
        guidance: `classifier-free`, or `clip` for the gradient of the noised CLIP.
        steps: of the base model.
        guidance_scale: of the guidance named. With `clip`, the folder's `clip_guidance_scale` says how much
            classifier-free guidance there is beside it.

    Raises:
        MissingPart: the folder or a file of it is not there.
        UsageError: a file is no checkpoint of this model, or `steps` is more than the model knows.
    """

    def __init__(
        self,
        competition: Competition,
        hardware: Hardware,
        *,
        weights: str | None = None,
        guidance: Literal["classifier-free", "clip"] = "classifier-free",
        steps: int | None = None,
        guidance_scale: float | None = None,
    ) -> None:
        folder = Folder.open(weights)
        self._defaults = defaults = folder.config.sampling
        self._device = torch.device(hardware.device)
        steps = defaults.steps if steps is None else steps
        by_clip = guidance == "clip"
        default_scale = defaults.clip_scale if by_clip else defaults.guidance_scale
        scale = float(default_scale if guidance_scale is None else guidance_scale)
        self._classifier_free_scale = defaults.clip_guidance_scale if by_clip else scale
        self._sampler = defaults.clip_sampler if by_clip else defaults.sampler
        self._clip_scale = scale if by_clip else 0.0
        self._diffusion = diffusion_of(folder.unet_config("base"), str(steps))
        self._upsample_diffusion = diffusion_of(folder.unet_config("upsample"), defaults.upsample_respacing)
        folder.require("base", "upsample", *(CLIP_FILES if by_clip else ()))
        self._tokenizer = folder.text_tokenizer()
        self._base = on_hardware(folder.unet("base"), hardware)
        self._upsampler = on_hardware(folder.unet("upsample"), hardware)
        self.batch_size = defaults.batch_size
        self.settings: dict[str, Any] = {
            "steps": steps,
            "guidance": guidance,
            "guidance_scale": scale,
            "sampler": self._sampler,
            "upsampler": f"ddim {defaults.upsample_respacing}",
        }
        notes = prompt_notes(self._tokenizer, competition.prompts)
        if by_clip:
            self._clip = folder.noised_clip().to(self._device)
            self._clip_tokenizer = folder.clip_tokenizer()
            self.settings["classifier_free_scale"] = self._classifier_free_scale
            notes += prompt_notes(self._clip_tokenizer, competition.prompts, for_whom=" for CLIP")
        self.weights, self.notes = dict(folder.sha256), folder.notes + notes  # of all that was loaded

    @torch.no_grad()
    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
        """uint8 (B, H, W, 3), one image per prompt, each from its own seed."""
        return in_fixed_batches(self._defaults.fixed_batch, prompts, seeds, self._draw)

    def _draw(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
        stage = partial(draw, tokenizer=self._tokenizer, prompts=prompts, generators=seeded_generators(seeds))
        scale, gradient = self._classifier_free_scale, self._gradient(prompts)
        images = stage(
            self._base, diffusion=self._diffusion, sampler=self._sampler, guidance_scale=scale, gradient=gradient
        )
        upsampled = stage(
            self._upsampler,
            diffusion=self._upsample_diffusion,
            sampler="ddim",
            low_res=rounded(images.clamp(-1, 1)),
            temperature=self._defaults.upsample_temperature,
        )
        return to_pixels(upsampled)

    def _gradient(self, prompts: Sequence[str]) -> Gradient | None:
        if not self._clip_scale:
            return None
        tokens, lengths = (rows.to(self._device) for rows in self._clip_tokenizer(prompts))
        return clip_gradient(self._clip, self._clip.embed_texts(tokens, lengths), self._diffusion, self._clip_scale)


def prompt_notes(tokenizer: TextTokenizer | ClipTokenizer, prompts: Sequence[Prompt], for_whom: str = "") -> list[str]:
    """What the network will not see of the prompts."""
    cut = notes_on(prompts, tokenizer.cuts, f"are longer than {tokenizer.length} tokens and were cut{for_whom}")
    what = f"have words that the model does not know, which were left out{for_whom}"
    return cut + notes_on(prompts, tokenizer.vocabulary.leaves_out, what)


def load_clip_guided(competition: Competition, hardware: Hardware, **options: Any) -> Glide:
    """GLIDE with CLIP guidance; `guidance_scale` is that of CLIP's gradient."""
    return Glide(competition, hardware, guidance="clip", **options)


def diffusion_of(config: UNetConfig, spacing: str | None = None) -> Diffusion:
    """The process that a model was trained on, respaced (`respace`) to draw."""
    steps = config.train_timesteps
    return Diffusion(betas(config.noise_schedule, steps), None if spacing is None else respace(steps, spacing))


def encode(unet: UNet, tokenizer: TextTokenizer, prompts: Sequence[str]) -> TextStates:
    """The prompts as `unet` sees them, in its precision and on its device."""
    tokens, mask = (rows.to(unet.device) for rows in tokenizer(prompts))
    return unet.encode_text(tokens, mask)


def denoiser_of(
    unet: UNet, text: TextStates, empty: TextStates, guidance_scale: float, **images: Tensor | None
) -> Denoiser:
    """`unet` given prompts and the images that it sees beside x_t, `known` and `low_res`.

    Guidance moves eps; the variance stays the prompt's.
    """
    seen = {name: image for name, image in images.items() if image is not None}

    def network(x: Tensor, timesteps: Tensor, hidden: Tensor, pooled: Tensor, *images: Tensor) -> Tensor:
        output: Tensor = unet(x, timesteps, TextStates(hidden, pooled), **dict(zip(seen, images, strict=True)))
        return output

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


@torch.no_grad()
def own_clip(folder: Folder, images: Sequence[UInt8[np.ndarray, "h w 3"]], prompts: Sequence[str]) -> float:
    """The mean cosine, -1 … 1, of images and their prompts; the images are not noised (t = 0) and scaled to its size.

    Not the scorer's CLIP-T, which another network measures: the gradient of this one guides.
    """
    clip, tokenizer = folder.noised_clip(), folder.clip_tokenizer()
    cosines = []
    for start in range(0, len(images), OWN_CLIP_BATCH):
        pixels = from_pixels(np.stack(images[start : start + OWN_CLIP_BATCH]))
        small = F.adaptive_avg_pool2d(pixels, clip.config.image_size)
        seen = clip.embed_images(small, torch.zeros(len(small), dtype=torch.long))
        cosines.append((seen * clip.embed_texts(*tokenizer(prompts[start : start + OWN_CLIP_BATCH]))).sum(dim=1))
    return float(torch.cat(cosines).mean())
