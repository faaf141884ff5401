"""VQ-Diffusion (Gu et al., arXiv 2111.14822; Tang et al., arXiv 2205.16007). Prompts in, images out.

It draws with `microsoft/vq-diffusion-ithq` or with a small model of one's own in the same folder layout, which may hold
a `sampling.json` with the defaults that were tuned on the validation prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import VQDiffusionScheduler, VQModel

from baselines.diffusion.batches import in_fixed_batches
from baselines.diffusion.noise import seeded_generators
from baselines.hardware import Hardware
from baselines.pixels import to_arrays
from baselines.vq_diffusion.decoding import decode
from baselines.vq_diffusion.loading import find, find_parts, load_parts, sampling_defaults, weights_sha256
from baselines.vq_diffusion.sampling import sample
from baselines.vq_diffusion.text import encode
from baselines.vq_diffusion.transformer import with_time_per_image
from submission import Competition
from submission.errors import UsageError

SHIPPED = Path(__file__).resolve().parents[1] / "weights" / "vq"


class VQDiffusion:
    """A trained VQ-Diffusion model. `settings` and `weights` go into the manifest."""

    def __init__(
        self, folder: Path, hardware: Hardware, *, steps: int | None = None, guidance_scale: float | None = None
    ) -> None:
        defaults = sampling_defaults(folder)
        folders = find_parts(folder)
        parts = load_parts(folders)
        self._scheduler: VQDiffusionScheduler = parts["scheduler"]
        trained = self._scheduler.config.num_train_timesteps
        self._steps = min(defaults["steps"], trained) if steps is None else steps
        if self._steps > trained:
            raise UsageError(f"--steps {steps}: this model was trained with {trained} and draws in at most so many")
        self._guidance_scale = defaults["guidance_scale"] if guidance_scale is None else guidance_scale
        self._truncation_rate = defaults["truncation_rate"]
        self.batch_size: int = defaults["batch_size"]
        self._fixed_batch: int = defaults["fixed_batch"]
        self._hardware = hardware
        self._device = torch.device(hardware.device)
        # Transformer and decoder compute in the hardware's precision; sampler and text encoder in float32.
        self._tokenizer = parts["tokenizer"]
        self._text_encoder = parts["text_encoder"].float().to(self._device).eval()
        self._vqvae: VQModel = parts["vqvae"].float().to(self._device, memory_format=hardware.memory_format).eval()
        self._transformer = with_time_per_image(parts["transformer"].float().to(self._device)).eval()
        learned = parts["learned_classifier_free_sampling_embeddings"]
        if learned.learnable:
            self._null = learned.embeddings.detach().float().to(self._device)
        else:
            self._null = encode(self._text_encoder, self._tokenizer, [""])[0]
        self.settings = {
            "steps": self._steps,
            "guidance_scale": self._guidance_scale,
            "truncation_rate": self._truncation_rate,
            "precision": hardware.precision,
        }
        self.weights = weights_sha256(folders)

    @torch.inference_mode()
    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
        """uint8 (B, H, W, 3), one image per prompt, each from its own seed, the same in any batch."""
        return in_fixed_batches(self._fixed_batch, prompts, seeds, self._draw)

    def _draw(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
        text = encode(self._text_encoder, self._tokenizer, prompts)
        with self._hardware.autocast():
            codes = sample(
                self._transformer,
                self._scheduler,
                seeded_generators(seeds),
                text,
                self._null,
                steps=self._steps,
                guidance_scale=self._guidance_scale,
                truncation_rate=self._truncation_rate,
            )
            return to_arrays(decode(self._vqvae, codes))


def load(
    competition: Competition,
    hardware: Hardware,
    *,
    weights: str | None = None,
    steps: int | None = None,
    guidance_scale: float | None = None,
) -> VQDiffusion:
    """The VQ-Diffusion of `competition`: the shipped one for the bestiary, another from the folder or hub id `weights`.

    Raises:
        MissingPart: the weights are not there, or lack a part.
        UsageError: more steps than the model was trained with.
    """
    return VQDiffusion(find(weights or str(SHIPPED)), hardware, steps=steps, guidance_scale=guidance_scale)
