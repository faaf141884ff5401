"""A Stable Diffusion folder as diffusers lays it out, whole or with parts that it shares with another folder.

Whole, it is what `StableDiffusionPipeline.save_pretrained` writes. One that shares parts lacks their subfolders
(`baselines.pretrained`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, SchedulerMixin, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from baselines import pretrained
from baselines.diffusion.solver import dpm_solver
from baselines.pretrained import Pretrained
from baselines.weight_files import load_tokenizer, read_object
from submission import atomic
from submission.errors import UsageError
from submission.paths import readable

SHARED = ("vae", "text_encoder", "tokenizer")
MODELS = {"vae": AutoencoderKL, "text_encoder": CLIPTextModel, "unet": UNet2DConditionModel}
MODEL_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "feature_extractor": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DPMSolverMultistepScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


@dataclass(frozen=True)
class Parts:
    """What a Stable Diffusion is made of, on the CPU, and the folder that it was read from."""

    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    unet: UNet2DConditionModel
    scheduler: DPMSolverMultistepScheduler
    folder: Pretrained


def load_parts(weights: str | None, dtype: torch.dtype) -> Parts:
    """A Stable Diffusion by its name (`Pretrained`), the shipped one for None; DPM-Solver++(2M) on its noise schedule.

    UNet and autoencoder in `dtype`, the text encoder in float32, which costs nothing, as a prompt is encoded once. A
    safety checker and its feature extractor are not read.

    Raises:
        MissingPart: it, a part of it or a part's safetensors are not there.
        UsageError: it is another kind of pipeline, weights do not fit their network, or a shared part is not the one
            that it was made for.
    """
    index = Pretrained("stable", weights).file("model_index.json")
    kind = read_object(index).get("_class_name")
    if kind != MODEL_INDEX["_class_name"]:
        raise UsageError(f"{readable(index)} is of a {kind}, not of a {MODEL_INDEX['_class_name']}")
    folder = Pretrained("stable", weights, (*MODELS, "tokenizer", "scheduler"))
    networks = {
        part: folder.network(
            part, kind, use_safetensors=True, dtype=torch.float32 if part == "text_encoder" else dtype
        ).requires_grad_(False)
        for part, kind in MODELS.items()
    }
    config = DPMSolverMultistepScheduler.load_config(folder.part("scheduler"), local_files_only=True)
    tokenizer = load_tokenizer(folder.part("tokenizer"), networks["text_encoder"])
    return Parts(tokenizer=tokenizer, scheduler=dpm_solver(config), folder=folder, **networks)


def assemble(
    unet: UNet2DConditionModel, scheduler: SchedulerMixin, parts: Path, out: Path, *, share: bool = False
) -> None:
    """Writes the folder `out`: `unet` and `scheduler`, and copies of the other parts, or with `share` their place."""
    out.mkdir(parents=True, exist_ok=True)
    unet.save_pretrained(out / "unet")
    scheduler.save_pretrained(out / "scheduler")
    pretrained.bring(SHARED, parts, out, share=share)
    atomic.write_json(out / "model_index.json", MODEL_INDEX)
