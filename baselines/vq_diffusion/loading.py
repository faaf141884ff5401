"""A VQ-Diffusion folder, as the hub stores it, part by part: diffusers' own loading of the whole does not work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import Transformer2DModel, VQDiffusionScheduler, VQModel
from diffusers.pipelines.deprecated.vq_diffusion import LearnedClassifierFreeSamplingEmbeddings
from safetensors.torch import load_file
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from baselines import hub, shared_parts
from baselines.pretrained import load_network
from submission import MissingPart, commands
from submission.errors import UsageError
from submission.hashes import file_sha256
from submission.paths import readable

PARTS: dict[str, Any] = {
    "vqvae": VQModel,
    "text_encoder": CLIPTextModel,
    "tokenizer": CLIPTokenizer,
    "transformer": Transformer2DModel,
    "scheduler": VQDiffusionScheduler,
    "learned_classifier_free_sampling_embeddings": LearnedClassifierFreeSamplingEmbeddings,
}
# Where the folder has no sampling.json: what Tang et al. (arXiv 2205.16007) draw the hub's model with.
# The networks are given `fixed_batch` prompts at a time, whatever the batch: codes are drawn, and a rounding that turns
# one draw changes the picture.
DEFAULTS = {"steps": 100, "guidance_scale": 5.0, "truncation_rate": 0.86, "batch_size": 8, "fixed_batch": 8}


def find(weights: str) -> Path:
    """The folder called `weights`, or the hub's model of that id in the local cache. Nothing is downloaded unasked.

    Raises:
        MissingPart: it is neither here nor there.
    """
    folder = Path(weights).expanduser()
    if not folder.exists():
        if (snapshot := hub.cached(weights)) is None and hub.is_hub_id(weights):
            raise MissingPart(
                f"the weights {weights} are not on this machine",
                looked_for=f"the folder {weights}, and the Hugging Face cache",
                get_it=f"{commands.script('hf')} download {commands.named(weights, 'OWNER/NAME')}",
            )
        folder = snapshot or folder
    return folder


def _how_to_train() -> str:
    return commands.make("train MODEL=vq", "baselines.vq_diffusion.train")


def find_parts(folder: Path) -> dict[str, Path]:
    """The folder of each part by its name, of shared ones too.

    Raises:
        MissingPart: a part is not there.
        UsageError: a shared part has changed.
    """
    homes = shared_parts.homes(folder, tuple(PARTS))
    for part in PARTS:
        if part not in homes:
            raise MissingPart(
                f"the VQ-Diffusion weights are not complete: no {part}",
                looked_for=readable(folder / part),
                get_it=f"train them ({_how_to_train()}), or name a folder or a hub id that has them with --weights",
            )
    return {part: homes[part] / part for part in PARTS}


def load_parts(folders: Mapping[str, Path]) -> dict[str, Any]:
    """Every part by its name, on the CPU, in the precision it is stored in.

    The hub's own model is older than safetensors: of its pickles only the weights are read (weights_only=True, as
    diffusers and transformers always do).

    Raises:
        MissingPart: a part's files are not there.
        UsageError: weights do not fit the network of their config.json.
    """
    loaded = {}
    for part, kind in PARTS.items():
        try:
            loaded[part] = _load(kind, folders[part])
        except OSError as error:
            raise MissingPart(
                f"the VQ-Diffusion weights are not complete: {part} does not load",
                looked_for=readable(folders[part]),
                get_it=f"train them ({_how_to_train()}), or download them again ({str(error).splitlines()[0]})",
            ) from error
    return loaded


def _load(kind: Any, folder: Path) -> Any:
    if kind is Transformer2DModel:
        return _load_transformer(folder)
    if not issubclass(kind, nn.Module):
        return kind.from_pretrained(folder, local_files_only=True)
    return load_network(kind, folder, more=True)


def _load_transformer(folder: Path) -> Transformer2DModel:
    """What Transformer2DModel.from_pretrained does, but for a config.json of 2022 as well, which has no norm_type."""
    config = Transformer2DModel.load_config(folder, local_files_only=True)
    network = Transformer2DModel.from_config({**config, "norm_type": "ada_norm"})
    safe = folder / "diffusion_pytorch_model.safetensors"
    if safe.exists():
        weights = load_file(safe)
    else:
        weights = torch.load(safe.with_suffix(".bin"), map_location="cpu", weights_only=True)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise UsageError(
            f"the weights in {readable(folder)} are not those of the network in its config.json"
        ) from error
    return network


def weights_sha256(folders: Mapping[str, Path]) -> dict[str, str]:
    """The sha256 of each file of weights of the parts in `folders`, by its name in a whole folder."""
    return {
        f"{part}/{file.relative_to(folders[part]).as_posix()}": file_sha256(file)
        for part in sorted(folders)
        for file in sorted(folders[part].rglob("*"))
        if file.suffix in (".safetensors", ".bin")
    }


def sampling_defaults(folder: Path) -> dict[str, Any]:
    """`sampling.json` of the folder over `DEFAULTS`. Raises UsageError for one that is not understood."""
    path = folder / "sampling.json"
    if not path.exists():
        return dict(DEFAULTS)
    said = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(said, dict) or not said.keys() <= DEFAULTS.keys():
        raise UsageError(f"{path}: must be one object with some of {', '.join(DEFAULTS)}")
    return DEFAULTS | said
