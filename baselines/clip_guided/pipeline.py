"""CLIP-guided diffusion, prompts in, images out: at the size of the diffusion, which `baselines.draw` enlarges."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DModel

from baselines.clip_guided import guidance
from baselines.clip_guided.diffusion import diffusion
from baselines.clip_guided.guide import Guide
from baselines.clip_guided.guide import load as load_guide
from baselines.clip_guided.unet import PixelUNet
from baselines.diffusion.batches import in_fixed_batches
from baselines.diffusion.noise import randn, seeded_generators
from baselines.diffusion.samplers import Gradient, ancestral, with_posterior_variance
from baselines.generator import notes_on
from baselines.hardware import Hardware
from baselines.options import OPTIONS
from baselines.pixels import to_arrays, to_pixels
from baselines.pretrained import Pretrained, chosen
from baselines.weight_files import load_network
from submission import Competition
from submission.errors import UsageError

NEEDS = ("steps", "batch_size", "fixed_batch", "guide", "guidance_form", "guidance_scale")


class ClipGuided:
    """The diffusion and a guide, or several that pull together. `settings` and `weights` go into the manifest.

    Args:
        weights: a folder: `unet/` as diffusers saves it, `guides/<name>.json` and `.safetensors`, `sampling.json`.
        guidance_scale: None: the folder's, for this guide and form; guides together keep the ratio of theirs.
        guide: a name in `guides/`, or `none`; None: the folder's default. Where `sampling.json` says so, others pull
            `together` with it: their gradients are added.
        guidance_form: `normalised` or `raw`; None: the folder's default.

    Raises:
        MissingPart: the folder lacks a part.
        UsageError: more steps than the diffusion was trained with, or options that do not go together.
    """

    def __init__(
        self,
        competition: Competition,
        hardware: Hardware,
        *,
        weights: str | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        guide: str | None = None,
        guidance_form: str | None = None,
    ) -> None:
        folder = Pretrained("clip-guided", weights)
        defaults = chosen(folder.sampling(needs=NEEDS), steps=steps, guide=guide, guidance_form=guidance_form)
        name, self._form = defaults["guide"], defaults["guidance_form"]
        self.batch_size: int = defaults["batch_size"]
        # Whatever the batch: the guide's gradient carries a rounding on from step to step.
        self._fixed_batch: int = defaults["fixed_batch"]
        self._hardware = hardware
        self._process = diffusion(defaults["steps"])
        for file in ("config.json", "diffusion_pytorch_model.safetensors"):
            folder.hashed(f"unet/{file}")
        unet = load_network(UNet2DModel, folder.path / "unet")
        # It computes in the hardware's precision; the guide's gradients and the sampler are float32.
        self._unet = PixelUNet(unet.float()).to(hardware.device).to(memory_format=hardware.memory_format).eval()
        self.settings: dict[str, object] = {"steps": defaults["steps"], "guide": name, "sampler": "ancestral"}
        self._guides: list[tuple[Guide, float]] = []  # each with its scale
        self.notes: list[str] = []
        if name == "none" and (guidance_scale is not None or guidance_form is not None):
            raise UsageError("--guide none takes no --guidance-scale and no --guidance-form")
        if name != "none":
            helpers = _helpers(defaults.get("together", {}), name)
            scales = self._scales(defaults["guidance_scale"], [name, *helpers])
            scale = scales[name] if guidance_scale is None else float(guidance_scale)
            for each, own in scales.items():
                self._guides.append((self._load(folder, each), scale * own / scales[name]))
            first, _ = self._guides[0]
            on = "x_t" if first.config.noised or self._form == "raw" else "predicted x_0"
            self.settings |= {"guidance_form": self._form, "guidance_scale": scale, "guide_sees": on}
            if helpers:
                self.settings["together_with"] = ", ".join(helpers)
            unknown = first.tokenizer.unknown
            self.notes = notes_on(competition.prompts, unknown, "have words that the guide does not know")
        self.weights = folder.sha256

    def _scales(self, table: Any, names: Sequence[str]) -> dict[str, float]:
        """The guides' scales in this form. Raises UsageError where `sampling.json` has none that is above 0."""
        of_form = table.get(self._form, {}) if isinstance(table, dict) else {}
        accepts = OPTIONS["guidance_scale"].accepts
        if wrong := [name for name in names if not accepts(scale := of_form.get(name)) or scale == 0]:
            raise UsageError(f"sampling.json has no guidance_scale above 0 of the form {self._form} for {wrong[0]}")
        return {name: float(of_form[name]) for name in names}

    def _load(self, folder: Pretrained, name: str) -> Guide:
        """A guide of the folder. Raises MissingPart; UsageError for one of images of another size."""
        files = [folder.hashed(f"guides/{name}{suffix}") for suffix in (".json", ".safetensors")]
        guide = load_guide(*files).to(self._hardware.device).requires_grad_(False)
        if guide.config.image_size != self._unet.image_size:
            raise UsageError(
                f"the guide {name} sees images of {guide.config.image_size} pixels, the diffusion draws "
                f"{self._unet.image_size}"
            )
        return guide

    @torch.no_grad()
    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
        """uint8 (B, H, W, 3), one image per prompt, each from its own seed, the same in any batch."""
        return in_fixed_batches(self._fixed_batch, prompts, seeds, self._draw)

    def _draw(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
        size = self._unet.image_size
        draw_noise = partial(randn, seeded_generators(seeds), (3, size, size), self._hardware.device)
        predict = with_posterior_variance(self._process, self._denoise)
        *_, last = ancestral(self._process, predict, draw_noise(), draw_noise, gradient=self._gradient(prompts))
        return to_arrays(to_pixels(last.sample))

    def _denoise(self, x: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        with self._hardware.autocast():
            v: torch.Tensor = self._unet(x, timesteps)
        return v.float()

    def _gradient(self, prompts: Sequence[str]) -> Gradient | None:
        form = {"normalised": guidance.normalised, "raw": guidance.raw}[self._form]
        pulls = [
            form(guide, guide.text_features(guide.tokenizer(prompts).to(self._hardware.device)), self._process, scale)
            for guide, scale in self._guides
            if scale
        ]
        return guidance.together(pulls) if pulls else None


def _helpers(table: Any, name: str) -> list[str]:
    """The guides that pull beside this one. Raises UsageError where `sampling.json` has no list of names."""
    helpers = table.get(name, []) if isinstance(table, dict) else None
    if not isinstance(helpers, list) or not all(isinstance(helper, str) for helper in helpers):
        raise UsageError(f"sampling.json: together is no object with a list of guides for {name}")
    return helpers
