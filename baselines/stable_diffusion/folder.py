"""A Stable Diffusion folder as diffusers lays it out, whole or with parts that it shares with another folder.

Whole, it is what `StableDiffusionPipeline.save_pretrained` writes. One that shares parts lacks their subfolders
(`baselines.shared_parts`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, SchedulerMixin, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from baselines import shared_parts
from baselines.diffusion.solver import dpm_solver
from baselines.pretrained import load_network
from submission import MissingPart, atomic, commands
from submission.errors import UsageError
from submission.hashes import file_sha256
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
    """What a Stable Diffusion is made of, on the CPU; `sha256` of each file of weights by its name."""

    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    unet: UNet2DConditionModel
    scheduler: DPMSolverMultistepScheduler
    sha256: dict[str, str]


def load_parts(folder: Path, dtype: torch.dtype) -> Parts:
    """The networks, and DPM-Solver++(2M) (Lu et al., arXiv 2211.01095, algorithm 2) on the folder's noise schedule.

    UNet and autoencoder in `dtype`, the text encoder in float32, which costs nothing, as a prompt is encoded once. A
    safety checker and its feature extractor are not read.

    Raises:
        MissingPart: a part or its safetensors are not there.
        UsageError: it is another kind of pipeline, weights do not fit, or a shared part is not the one it was made for.
    """
    index = folder / "model_index.json"
    if not index.is_file():
        raise MissingPart(
            "this is no folder of Stable Diffusion: it has no model_index.json",
            looked_for=readable(index),
            get_it="name a folder that diffusers' save_pretrained wrote, or train one"
            f" ({commands.module('baselines.stable_diffusion.train')})",
        )
    kind = json.loads(index.read_text(encoding="utf-8")).get("_class_name")
    if kind != MODEL_INDEX["_class_name"]:
        raise UsageError(f"{readable(index)} is of a {kind}, not of a {MODEL_INDEX['_class_name']}")
    homes = _homes(folder)
    sha256: dict[str, str] = {}
    networks = {}
    for part, model in MODELS.items():
        files, variant = _weights_of(homes[part] / part)
        kept_as = {"dtype": torch.float32 if part == "text_encoder" else dtype, "variant": variant}
        network = load_network(model, homes[part] / part, use_safetensors=True, **kept_as)
        networks[part] = network.eval().requires_grad_(False)
        sha256 |= {f"{part}/{file.name}": file_sha256(file) for file in files}
    tokenizer = CLIPTokenizer.from_pretrained(homes["tokenizer"] / "tokenizer", local_files_only=True)
    config = DPMSolverMultistepScheduler.load_config(homes["scheduler"] / "scheduler", local_files_only=True)
    return Parts(tokenizer=tokenizer, scheduler=dpm_solver(config), sha256=sha256, **networks)


def _homes(folder: Path) -> dict[str, Path]:
    """Part -> the folder whose subfolder it is. Raises MissingPart, and UsageError when a shared part has changed."""
    every = (*MODELS, "tokenizer", "scheduler")
    homes = shared_parts.homes(folder, every)
    for part in every:
        if part not in homes:
            raise MissingPart(
                f"the weights are not complete: no {part}",
                looked_for=readable(folder / part),
                get_it="copy or download the whole folder again",
            )
    return homes


def _weights_of(part: Path) -> tuple[list[Path], str | None]:
    """The part's files of weights, and the variant that they are (`fp16`, where there is no other)."""
    found = sorted(part.glob("*.safetensors"))
    halves = [file for file in found if ".fp16" in file.name]
    plain = [file for file in found if file not in halves and file.name != "pytorch_model.safetensors"]
    if plain or halves:
        return (plain, None) if plain else (halves, "fp16")
    raise MissingPart(
        f"{part.name} has no safetensors" + ("; its .bin is a pickle, which is not opened" * any(part.glob("*.bin"))),
        looked_for=readable(part),
        get_it="download the repository's .safetensors, or save the pipeline anew with save_pretrained",
    )


def assemble(
    unet: UNet2DConditionModel, scheduler: SchedulerMixin, parts: Path, out: Path, *, share: bool = False
) -> None:
    """Writes the folder `out`: `unet` and `scheduler`, and copies of the other parts, or with `share` their place."""
    out.mkdir(parents=True, exist_ok=True)
    unet.save_pretrained(out / "unet")
    scheduler.save_pretrained(out / "scheduler")
    shared_parts.bring(SHARED, parts, out, share=share)
    atomic.write_json(out / "model_index.json", MODEL_INDEX)
