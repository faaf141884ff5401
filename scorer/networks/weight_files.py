"""Weight files on disk: found or named as missing, hashed, and loaded without running any code of theirs."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from submission import MissingPart


def find_weights(given: Path | None, standard_places: Sequence[Path], *, what: str, option: str, get_it: str) -> Path:
    """The file the user gave with `option` (or the folder it is in), or the first standard place that has one.

    Raises MissingPart that names the file, where it was looked for and how to get it. Nothing stands in for a missing
    file: a score measured with other weights would look like one.
    """
    if given is not None and given.is_dir() and standard_places:
        given = given / standard_places[0].name
    places = [given] if given is not None else list(standard_places)
    for place in places:
        if place.is_file():
            return place
    raise MissingPart(
        f"{what}: the weights file is not on this machine",
        looked_for=", ".join(str(place) for place in places),
        get_it=f"{get_it}; put it there, or name it with {option}",
    )


def is_torchscript(path: Path) -> bool:
    """Whether the file is a TorchScript archive: a network with its code, not a table of weights."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def load_state_dict(path: Path, *, what: str) -> dict[str, Tensor]:
    """The tensors of a .safetensors file or of a PyTorch checkpoint, on the CPU.

    Raises MissingPart when the file holds anything else, such as pickled objects, which would run code.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (PermissionError, FileNotFoundError, MemoryError):
        raise
    except Exception as error:  # an odd pickle or archive makes the readers raise nearly anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MissingPart(f"{what}: {path} is not a file of weights: {reason}") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise MissingPart(f"{what}: {path} is not a table of named tensors")
    return state
