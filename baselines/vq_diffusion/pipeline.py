"""VQ-Diffusion (Gu et al., arXiv 2111.14822; Tang et al., arXiv 2205.16007). Prompts in, images out.

It draws with `microsoft/vq-diffusion-ithq` or with a small model of one's own in the same folder layout, which may hold
a `sampling.json` with the defaults that were tuned on the validation prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
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
from baselines.vq_diffusion.ranker import best, load_ranker
from baselines.vq_diffusion.sampling import decode, sample
from baselines.vq_diffusion.transformer import EMBEDDINGS, load_transformer, with_time_per_image
from baselines.weight_files import load_tokenizer
from submission import Competition
from submission.errors import UsageError

PARTS = ("vqvae", "text_encoder", "tokenizer", "transformer", "scheduler", EMBEDDINGS)
# Where the folder has no sampling.json: what Tang et al. (arXiv 2205.16007) draw the hub's model with.
# The networks are given `fixed_batch` prompts at a time, whatever the batch: codes are drawn, and a rounding that turns
# one draw changes the picture.
DEFAULTS = {
    "steps": 100, "guidance_scale": 5.0, "truncation_rate": 0.86, "purity": 0.0,
    "candidates": 1, "batch_size": 8, "fixed_batch": 8,
}  # fmt: skip


class VQDiffusion:
    """The shipped one for the bestiary, another from the folder or hub id `weights`.

    Of `candidates` pictures of a prompt the one is kept that shows it most surely (`ranker`); with 1, which is the
    default, none is needed. `settings` and `weights` go into the manifest. The hub's own model is older than
    safetensors: of its pickles only the weights are read (weights_only=True, as diffusers and transformers always do).
    diffusers' own loading of the whole folder does not work.

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
        self._candidates: int = defaults["candidates"] or 1
        self.batch_size: int = defaults["batch_size"]
        self._fixed_batch: int = defaults["fixed_batch"]
        self._hardware = hardware

        def network(part: str, kind: Any) -> Any:
            return folder.network(part, kind, pickles=True, more=True).float()

        # Transformer and decoder compute in the hardware's precision; sampler and text encoder in float32.
        self._text_encoder = network("text_encoder", CLIPTextModel).to(hardware.device)
        self._tokenizer = load_tokenizer(folder.part("tokenizer"), self._text_encoder)
        self._vqvae: VQModel = network("vqvae", VQModel).to(hardware.device, memory_format=hardware.memory_format)
        self._transformer = with_time_per_image(load_transformer(folder).float().to(hardware.device)).eval()
        learned = network(EMBEDDINGS, LearnedClassifierFreeSamplingEmbeddings)
        if learned.learnable:
            self._null = learned.embeddings.detach().to(hardware.device)
        else:
            self._null = encode_normalised(self._text_encoder, self._tokenizer, [""])[0]
        self._ranker = load_ranker(folder).to(hardware.device) if self._candidates > 1 else None
        self.settings = {name: value for name, value in self._sampling.items() if name != "purity" or value}
        if self._ranker:
            self.settings["candidates"] = self._candidates
        self.weights = folder.sha256

    @torch.inference_mode()
    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
        """uint8 (B, H, W, 3), one image per prompt, each from its own seed, the same in any batch."""
        return in_fixed_batches(self._fixed_batch, prompts, seeds, self._draw)

    def _draw(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
        text = encode_normalised(self._text_encoder, self._tokenizer, prompts)
        with self._hardware.autocast():
            generators = seeded_generators(seeds)  # of which a second candidate takes the numbers after the first's
            draw = partial(sample, self._transformer, self._scheduler, generators, text, self._null, **self._sampling)
            pictures = [decode(self._vqvae, draw()) for _ in range(self._candidates)]
        return to_arrays(best(pictures, self._ranker, prompts) if self._ranker else pictures[0])
