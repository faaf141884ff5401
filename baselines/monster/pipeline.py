"""The monster: a latent-diffusion model trained from scratch. Prompts in, images out.

Its folder has diffusers' usual layout (vae, text_encoder, tokenizer, unet) and `sampling.json` with the defaults that
were tuned on the validation prompts. Where these name `distilled_steps`, `distilled.safetensors` changes the UNet into
a student (`baselines.monster.distil`) that draws in so many passes, with the guidance inside. It draws unless steps or
a guidance scale are asked for, which are the undistilled UNet's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack, get_args

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel

from baselines.diffusion.noise import randn, seeded_generators
from baselines.diffusion.solver import sample
from baselines.diffusion.text import encode
from baselines.hardware import Hardware
from baselines.monster import adapter
from baselines.monster.sampling import solver
from baselines.options import Asked
from baselines.pixels import to_arrays, to_pixels
from baselines.pretrained import SAMPLING_FILE, Pretrained, chosen
from baselines.training.denoising import Prediction
from baselines.weight_files import load_tokenizer
from submission import Competition
from submission.errors import UsageError

DISTILLED = "distilled.safetensors"
PARTS = ("vae", "text_encoder", "unet", "tokenizer")


class Monster:
    """The shipped one for the bestiary, one of your own from the folder `weights`.

    Raises:
        MissingPart: the folder lacks a part.
        UsageError: its sampling.json does not say what it must.
    """

    def __init__(self, competition: Competition, hardware: Hardware, **asked: Unpack[Asked]) -> None:
        folder = Pretrained("monster", asked.pop("weights", None), PARTS)
        defaults = folder.sampling(needs=("steps", "guidance_scale", "batch_size"))
        self._distilled = "distilled_steps" in defaults and not any(value is not None for value in asked.values())
        if self._distilled:
            asked["steps"] = defaults["distilled_steps"]
        defaults = chosen(defaults, **asked)
        self._sampling = {name: defaults[name] for name in ("steps", "guidance_scale")}
        self.batch_size: int = defaults["batch_size"]
        self._prediction: Prediction = defaults.get("prediction", "v_prediction")
        if self._prediction not in get_args(Prediction):
            wanted = " or ".join(get_args(Prediction))
            raise UsageError(f"{folder.path / SAMPLING_FILE}: prediction is {self._prediction!r}; it must be {wanted}")
        self._hardware = hardware
        self._text_encoder = folder.network("text_encoder", CLIPTextModel).float().to(hardware.device)
        self._tokenizer = load_tokenizer(folder.part("tokenizer"), self._text_encoder)
        vae, unet = folder.network("vae", AutoencoderKL).float(), folder.network("unet", UNet2DConditionModel).float()
        if self._distilled:
            adapter.apply(unet, folder.hashed(DISTILLED))
        # These compute in the hardware's precision; the sampler and the text encoder in float32.
        self._vae = vae.to(hardware.device, memory_format=hardware.memory_format)
        self._unet = unet.to(hardware.device, memory_format=hardware.memory_format)
        self._empty = encode(self._text_encoder, self._tokenizer, [""])
        self.settings = self._sampling | {"sampler": "ddim, distilled" if self._distilled else "dpmsolver++ 2M"}
        self.weights = folder.sha256

    @torch.inference_mode()
    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
        """uint8 (B, H, W, 3), one image per prompt, each from its own seed."""
        config = self._unet.config
        # Equal prompts are encoded each for itself: kernels may round by the batch's size, and that must not depend on
        # who else is in the batch.
        text = encode(self._text_encoder, self._tokenizer, prompts)
        size = (config.in_channels, config.sample_size, config.sample_size)
        noise = randn(seeded_generators(seeds), size, self._hardware.device)
        process = solver(order=1 if self._distilled else 2, prediction=self._prediction)
        sampling = self._sampling | ({"guidance_scale": 1.0} if self._distilled else {})  # a student has it inside
        with self._hardware.autocast():
            latents = sample(self._unet, process, noise, text, self._empty, **sampling)
            images = self._vae.decode(latents / self._vae.config.scaling_factor).sample
        return to_arrays(to_pixels(images))
