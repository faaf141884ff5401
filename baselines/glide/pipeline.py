"""GLIDE, prompts in, images out: the base model, guided, then the upsampler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch

from baselines.diffusion.batches import in_fixed_batches
from baselines.diffusion.noise import seeded_generators
from baselines.diffusion.samplers import Gradient
from baselines.glide.noised_clip import clip_gradient
from baselines.glide.released import CLIP_FILES
from baselines.glide.stages import diffusion_of, draw, rounded, to_pixels
from baselines.glide.tokenizer import ClipTokenizer, TextTokenizer
from baselines.glide.weights import Folder, on_hardware
from baselines.hardware import Hardware
from submission import Competition, Prompt
from submission.errors import some


class Glide:
    """GLIDE in the form that `baselines.generator` describes.

    Args:
        guidance: `classifier-free`, or `clip` for the gradient of the noised CLIP.
        steps: of the base model.
        guidance_scale: of the guidance named. With `clip`, the folder's `clip_guidance_scale` says how much
            classifier-free guidance there is beside it.
        prompts: those to come, for the notes.
    """

    def __init__(
        self,
        folder: Folder,
        hardware: Hardware,
        *,
        guidance: Literal["classifier-free", "clip"] = "classifier-free",
        steps: int | None = None,
        guidance_scale: float | None = None,
        prompts: Sequence[Prompt] = (),
    ) -> None:
        self._defaults = defaults = folder.config.sampling
        self._device = torch.device(hardware.device)
        self._steps = defaults.steps if steps is None else steps
        by_clip = guidance == "clip"
        default_scale = defaults.clip_scale if by_clip else defaults.guidance_scale
        scale = float(default_scale if guidance_scale is None else guidance_scale)
        self._classifier_free_scale = defaults.clip_guidance_scale if by_clip else scale
        self._clip_scale = scale if by_clip else 0.0
        self._diffusion = diffusion_of(folder.unet_config("base"), str(self._steps))
        self._upsample_diffusion = diffusion_of(folder.unet_config("upsample"), defaults.upsample_respacing)
        folder.require("base", "upsample", *(CLIP_FILES if by_clip else ()))
        self._tokenizer = folder.text_tokenizer()
        self._base = on_hardware(folder.unet("base"), hardware)
        self._upsampler = on_hardware(folder.unet("upsample"), hardware)
        if by_clip:
            self._clip_tokenizer = folder.clip_tokenizer()
            self._clip = folder.noised_clip().to(self._device)
        self.batch_size = defaults.batch_size
        self.settings: dict[str, Any] = {
            "steps": self._steps,
            "guidance": guidance,
            "guidance_scale": scale,
            "sampler": defaults.sampler,
            "upsampler": f"ddim {defaults.upsample_respacing}",
        }
        if by_clip:
            self.settings["classifier_free_scale"] = self._classifier_free_scale
        self.weights = dict(folder.sha256)
        self.notes = folder.notes + prompt_notes(self._tokenizer, prompts)
        if by_clip:
            self.notes += prompt_notes(self._clip_tokenizer, prompts, for_whom=" for CLIP")

    @torch.no_grad()
    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
        """uint8 (B, H, W, 3), one image per prompt, each from its own seed."""
        return in_fixed_batches(self._defaults.fixed_batch, prompts, seeds, self._draw)

    def _draw(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
        generators = seeded_generators(seeds)
        images = draw(
            self._base,
            self._tokenizer,
            prompts,
            generators,
            self._diffusion,
            sampler=self._defaults.sampler,
            guidance_scale=self._classifier_free_scale,
            gradient=self._gradient(prompts),
        )
        upsampled = draw(
            self._upsampler,
            self._tokenizer,
            prompts,
            generators,
            self._upsample_diffusion,
            sampler="ddim",
            low_res=rounded(images.clamp(-1, 1)),
            temperature=self._defaults.upsample_temperature,
        )
        return to_pixels(upsampled)

    def _gradient(self, prompts: Sequence[str]) -> Gradient | None:
        if not self._clip_scale:
            return None
        tokens, lengths = (one.to(self._device) for one in self._clip_tokenizer(prompts))
        return clip_gradient(self._clip, self._clip.embed_texts(tokens, lengths), self._diffusion, self._clip_scale)


def prompt_notes(tokenizer: TextTokenizer | ClipTokenizer, prompts: Sequence[Prompt], for_whom: str = "") -> list[str]:
    """What the network will not see of the prompts."""

    def note(names: list[str], what: str) -> list[str]:
        return [f"{len(names)} of {len(prompts)} prompts {what}: {some(names)}"] if names else []

    cut = [prompt.image_name for prompt in prompts if tokenizer.cuts(prompt.text)]
    unknown = [prompt.image_name for prompt in prompts if tokenizer.vocabulary.leaves_out(prompt.text)]
    return note(cut, f"are longer than {tokenizer.length} tokens and were cut{for_whom}") + note(
        unknown, f"have words that the model does not know, which were left out{for_whom}"
    )


def load(
    competition: Competition,
    hardware: Hardware,
    *,
    weights: str | None = None,
    steps: int | None = None,
    guidance_scale: float | None = None,
) -> Glide:
    """GLIDE with classifier-free guidance: the shipped weights, or the folder `weights` with OpenAI's or your own.

    Raises:
        MissingPart: the folder or a file of it is not there.
        UsageError: a file is no checkpoint of this model, or `steps` is more than the model knows.
    """
    return _load(competition, hardware, "classifier-free", weights, steps, guidance_scale)


def load_clip_guided(
    competition: Competition,
    hardware: Hardware,
    *,
    weights: str | None = None,
    steps: int | None = None,
    guidance_scale: float | None = None,
) -> Glide:
    """GLIDE with CLIP guidance; `guidance_scale` is that of CLIP's gradient. Otherwise as `load`."""
    return _load(competition, hardware, "clip", weights, steps, guidance_scale)


def _load(
    competition: Competition,
    hardware: Hardware,
    guidance: Literal["classifier-free", "clip"],
    weights: str | None,
    steps: int | None,
    guidance_scale: float | None,
) -> Glide:
    return Glide(
        Folder.open(weights),
        hardware,
        guidance=guidance,
        steps=steps,
        guidance_scale=guidance_scale,
        prompts=competition.prompts,
    )
