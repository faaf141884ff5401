"""Stable Diffusion as a generator: prompts in, images out, from a folder or a hub model of diffusers' layout.

The networks are diffusers' and so is the solver; what `StableDiffusionPipeline` does between them is done here with the
solver in float32 whatever the networks compute in, each prompt encoded once, and each image from its own seed. In
float32 the images are those of the pipeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Unpack

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from baselines.diffusion.batches import in_fixed_batches
from baselines.diffusion.noise import randn, seeded_generators
from baselines.diffusion.solver import sample
from baselines.diffusion.text import encode
from baselines.hardware import Hardware
from baselines.options import Asked
from baselines.pixels import to_arrays, to_pixels
from baselines.pretrained import chosen
from baselines.stable_diffusion.folder import load_parts
from submission import Competition, Prompt
from submission.errors import UsageError, some

# DPM-Solver++ needs 15 to 20 steps with guidance (arXiv 2211.01095, section 1); the scale is the pipeline's own.
DEFAULTS = {"steps": 25, "guidance_scale": 7.5, "batch_size": 8, "fixed_batch": None}
# As many as fit into about 0.5 GB at Stable Diffusion v1's 77 x 768 in half precision.
PROMPTS_KEPT = 4096


class StableDiffusion:
    """The shipped small one for the bestiary; any other from `weights`, a folder or `owner/name` on the hub.

    A `sampling.json` in the folder says how many steps, what guidance_scale and what batch_size suit it, and may name a
    fixed_batch (`in_fixed_batches`). `settings`, `weights` and `notes` go into the manifest.

    Args:
        compile: let torch.compile make faster kernels of UNet and decoder, in a minute or two.

    Raises:
        MissingPart: the folder or a part of it is not there.
        UsageError: it is no Stable Diffusion, or more steps than it was trained with.
    """

    def __init__(
        self, competition: Competition, hardware: Hardware, *, compile: bool = False, **asked: Unpack[Asked]
    ) -> None:
        parts = load_parts(asked.pop("weights", None), hardware.dtype)
        defaults = chosen(parts.folder.sampling(DEFAULTS), **asked)
        known = parts.scheduler.config.num_train_timesteps
        if defaults["steps"] > known:
            raise UsageError(f"--steps {defaults['steps']}: this model knows {known} steps")
        self._sampling = {name: defaults[name] for name in ("steps", "guidance_scale")}
        self.batch_size: int = defaults["batch_size"]
        self._fixed_batch: int | None = defaults["fixed_batch"]
        self._tokenizer, self._scheduler = parts.tokenizer, parts.scheduler
        self._unet = parts.unet.to(hardware.device, memory_format=hardware.memory_format)
        self._vae = parts.vae.to(hardware.device, memory_format=hardware.memory_format)
        self._text_encoder = parts.text_encoder.to(hardware.device)
        self._dtype = self._unet.dtype
        if compile:
            self._unet.compile(fullgraph=True)
            self._vae.decoder.compile(fullgraph=True)
        self._states = lru_cache(PROMPTS_KEPT)(self._encode)
        self.settings = self._sampling | {"sampler": "dpmsolver++ 2M"} | ({"compile": True} if compile else {})
        self.weights = parts.folder.sha256
        self.notes = ["no safety checker: every image is kept as it was drawn", *self._cut(competition.prompts)]

    @torch.inference_mode()
    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
        """uint8 (B, H, W, 3), one image per prompt, each from its own seed."""
        return in_fixed_batches(self._fixed_batch, prompts, seeds, self._draw)

    def _draw(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
        config = self._unet.config
        size = (config.in_channels, config.sample_size, config.sample_size)
        noise = randn(seeded_generators(seeds), size, self._unet.device)
        states = torch.cat([self._states(prompt) for prompt in prompts])
        latents = sample(self._unet, self._scheduler, noise, [states], [self._states("")], **self._sampling)
        latents = (latents / self._vae.config.scaling_factor).to(self._dtype)
        return to_arrays(to_pixels(self._vae.decode(latents).sample))

    def _encode(self, prompt: str) -> Float[Tensor, "1 l d"]:
        # Alone, for kernels may round by the batch's size, and that must not depend on who else is in the batch.
        return encode(self._text_encoder, self._tokenizer, [prompt])[0].to(self._dtype)

    def _cut(self, prompts: Sequence[Prompt]) -> list[str]:
        length = self._tokenizer.model_max_length
        long = [p.image_name for p in prompts if len(self._tokenizer(p.text)["input_ids"]) > length]
        return [f"{len(long)} prompts are longer than {length} tokens and were cut: {some(long)}"] if long else []
