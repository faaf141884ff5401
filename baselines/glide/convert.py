"""OpenAI's .pt files to safetensors, once: they load faster, and nobody needs to trust a pickle again."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save

from baselines.glide import checkpoint
from baselines.glide.noised_clip import NoisedImageEncoder, NoisedTextEncoder
from baselines.glide.released import CLIP_FILES, FILES, OPENAI
from baselines.glide.unet import UNet
from baselines.glide.weights import Folder
from submission import MissingPart, atomic
from submission.errors import UsageError
from submission.hashes import file_sha256
from submission.progress import Progress


def convert(folder: Path) -> list[Path]:
    """Write a safetensors beside every .pt of `folder` that has none. The tensors get our names and stay as they are.

    Returns:
        what was written.

    Raises:
        MissingPart: there is no .pt in the folder.
        UsageError: one is no checkpoint, or not of the model that its name says.
    """
    source = Folder.open(str(folder))
    if not source.official:
        raise UsageError(f"{folder} holds no weights of OpenAI's: there is nothing to convert")
    found = [name for name in FILES if (folder / f"{name}.pt").exists()]
    if not found:
        raise MissingPart("there is nothing to convert", looked_for=f"{folder}/*.pt", get_it=f"{', '.join(FILES)}.pt")
    todo = [name for name in found if not (folder / f"{name}.safetensors").exists()]
    with Progress("converting", len(todo)) as progress:
        for name in todo:
            _convert_file(folder / f"{name}.pt")
            progress.advance()
    return [folder / f"{name}.safetensors" for name in todo]


def _convert_file(path: Path) -> None:
    model = checkpoint.load_into(empty_model(path.stem), checkpoint.read_state(path), path)
    metadata = {"format": "pt", "source": path.name, "source_sha256": file_sha256(path)}
    tensors = {key: value.contiguous() for key, value in model.state_dict().items()}
    atomic.write_bytes(path.with_suffix(".safetensors"), save(tensors, metadata=metadata))


def empty_model(name: str) -> UNet | NoisedImageEncoder | NoisedTextEncoder:
    """The model of one of OpenAI's six files, on the meta device."""
    with torch.device("meta"):
        if name in CLIP_FILES:
            assert OPENAI.clip is not None
            return (NoisedImageEncoder if name == CLIP_FILES[0] else NoisedTextEncoder)(OPENAI.clip)
        return UNet(OPENAI.models[name])
