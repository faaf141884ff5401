"""Weights by the name of a local folder or of a model on the Hugging Face hub. Nothing is downloaded unasked."""

from __future__ import annotations

import re
from pathlib import Path

from submission import MissingPart, commands
from submission.paths import readable

# Only what diffusers reads: the same repositories hold pickles, other frameworks' weights and second copies in fp16.
_WANTED = ("*.json", "*.txt", "*/model.safetensors", "*/diffusion_pytorch_model.safetensors")


def model_folder(weights: str) -> Path:
    """The folder `weights`, or the newest snapshot of the hub's model `owner/name` in the local cache.

    Raises:
        MissingPart: it is neither here nor there; says how to download it.
    """
    folder = Path(weights).expanduser()
    if folder.exists():
        return folder
    if (snapshot := cached(weights)) is not None:
        return snapshot
    if not is_hub_id(weights):
        raise MissingPart("the weights are not there", looked_for=readable(folder), get_it="name a folder that exists")
    raise MissingPart(
        f"the weights {weights} are not on this machine",
        looked_for=f"the folder {weights}, and {_repository(weights)}",
        get_it=download(weights),
    )


def cached(weights: str) -> Path | None:
    """The snapshot of a hub model that the main branch names, or else the newest; None when none was downloaded."""
    if not is_hub_id(weights):
        return None
    repository = _repository(weights)
    main = repository / "refs" / "main"
    if main.is_file() and (snapshot := repository / "snapshots" / main.read_text().strip()).is_dir():
        return snapshot
    snapshots = sorted(repository.glob("snapshots/*"), key=lambda path: path.stat().st_mtime)
    return snapshots[-1] if snapshots else None


def is_hub_id(weights: str) -> bool:
    """Whether `weights` could be `owner/name`."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", weights, re.ASCII) is not None


def download(weights: str) -> str:
    """The command that brings a model from the hub into the cache."""
    wanted = " ".join(f"--include '{pattern}'" for pattern in _WANTED)
    return f"{commands.script('hf')} download {weights} {wanted} --exclude 'safety_checker/*'"


def _repository(weights: str) -> Path:
    from huggingface_hub.constants import HF_HUB_CACHE  # here, so that nobody else waits for its import

    return Path(HF_HUB_CACHE) / f"models--{weights.replace('/', '--')}"
