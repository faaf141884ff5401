"""VQ-Diffusion (Gu et al., arXiv 2111.14822; Tang et al., arXiv 2205.16007). Prompts in, images out.

It draws with `microsoft/vq-diffusion-ithq` or with a small model of one's own in the same folder layout, which may hold
a `sampling.json` with the defaults that were tuned on the validation prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import torch
from diffusers import VQDiffusionScheduler, VQModel
from diffusers.pipelines.deprecated.vq_diffusion import LearnedClassifierFreeSamplingEmbeddings
from transformers import CLIPTextModel

from baselines.diffusion.batches import in_fixed_batches
from baselines.diffusion.noise import seeded_generators
from baselines.diffusion.text import encode_normalised
from baselines.hardware import Hardware
from baselines.options import Asked
from baselines.pixels import to_arrays
from baselines.pretrained import Pretrained, chosen
from baselines.vq_diffusion.sampling import decode, sample
from baselines.vq_diffusion.transformer import load_transformer, with_time_per_image
from baselines.weight_files import load_tokenizer
from submission import Competition
from submission.errors import UsageError

EMBEDDINGS = "learned_classifier_free_sampling_embeddings"
PARTS = ("vqvae", "text_encoder", "tokenizer", "transformer", "scheduler", EMBEDDINGS)
# Where the folder has no sampling.json: what Tang et al. (arXiv 2205.16007) draw the hub's model with.
# The networks are given `fixed_batch` prompts at a time, whatever the batch: codes are drawn, and a rounding that turns
# one draw changes the picture.
DEFAULTS = {
    "steps": 100, "guidance_scale": 5.0, "truncation_rate": 0.86, "purity": 0.0, "batch_size": 8, "fixed_batch": 8
}  # fmt: skip


class VQDiffusion:
    """The shipped one for the bestiary, another from the folder or hub id `weights`.

    `settings` and `weights` go into the manifest. The hub's own model is older than safetensors: of its pickles only
    the weights are read (weights_only=True, as diffusers and transformers always do). diffusers' own loading of the
    whole folder does not work.

    Raises:
        MissingPart: the weights are not there, or lack a part.
        UsageError: more steps than the model was trained with.
    """

    def __init__(self, competition: Competition, hardware: Hardware, **asked: Unpack[Asked]) -> None:
        folder = Pretrained("vq", asked.pop("weights", None), PARTS)
        self._scheduler: VQDiffusionScheduler = folder.load("scheduler", VQDiffusionScheduler)
        trained = self._scheduler.config.num_train_timesteps
        if (steps := asked.get("steps")) is not None and steps > trained:
            raise UsageError(f"--steps {steps}: this model was trained with {trained} and draws in at most so many")
        defaults = chosen(folder.sampling(DEFAULTS), **asked)
        self._sampling = {name: defaults[name] for name in ("steps", "guidance_scale", "truncation_rate", "purity")}
        self._sampling["steps"] = min(defaults["steps"], trained)
        self.batch_size: int = defaults["batch_size"]
        self._fixed_batch: int = defaults["fixed_batch"]
        self._hardware = hardware
        self._device = torch.device(hardware.device)

        def network(part: str, kind: Any) -> Any:
            return folder.network(part, kind, pickles=True, more=True).float()

        # Transformer and decoder compute in the hardware's precision; sampler and text encoder in float32.
        self._text_encoder = network("text_encoder", CLIPTextModel).to(self._device)
        self._tokenizer = load_tokenizer(folder.part("tokenizer"), self._text_encoder)
        self._vqvae: VQModel = network("vqvae", VQModel).to(self._device, memory_format=hardware.memory_format)
        self._transformer = with_time_per_image(load_transformer(folder).float().to(self._device)).eval()
        learned = network(EMBEDDINGS, LearnedClassifierFreeSamplingEmbeddings)
        if learned.learnable:
            self._null = learned.embeddings.detach().to(self._device)
        else:
            self._null = encode_normalised(self._text_encoder, self._tokenizer, [""])[0]
        self.settings = {name: value for name, value in self._sampling.items() if name != "purity" or value}
        self.weights = folder.sha256

    @torch.inference_mode()
    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
        """uint8 (B, H, W, 3), one image per prompt, each from its own seed, the same in any batch."""
        return in_fixed_batches(self._fixed_batch, prompts, seeds, self._draw)

    def _draw(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
        text = encode_normalised(self._text_encoder, self._tokenizer, prompts)
        with self._hardware.autocast():
            generators = seeded_generators(seeds)
            codes = sample(self._transformer, self._scheduler, generators, text, self._null, **self._sampling)
            return to_arrays(decode(self._vqvae, codes))
