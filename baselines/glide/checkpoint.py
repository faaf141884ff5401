"""Files of weights: OpenAI's .pt and our safetensors, read safely and held against the model they are for."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from submission.errors import UsageError, shown

Model = TypeVar("Model", bound=nn.Module)
_NAMES_SHOWN = 4


def original_sha256(path: Path) -> str | None:
    """Of the file that a safetensors was converted from, as `convert` noted it."""
    if path.suffix != ".safetensors":
        return None
    with safe_open(path, "pt") as file:
        return (file.metadata() or {}).get("source_sha256")


def read_state(path: Path) -> dict[str, Tensor]:
    """A state dict on the CPU, in the file's own precision. Raises UsageError when the file is none."""
    refused = f"{path} is not a checkpoint"
    hint = "a download that broke off is the usual cause: get it again"
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # weights_only: tensors and plain containers, none of the code that a pickle may carry.
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise UsageError(f"{refused} ({shown(str(error))})\n  -> {hint}") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError):
        # weights_only refuses code; bytes that are no pickle fail in any way.
        kind = "it is damaged, or holds more than tensors" if zipfile.is_zipfile(path) else "it is no PyTorch archive"
        raise UsageError(f"{refused} ({kind})\n  -> {hint}") from None
    if not isinstance(state, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise UsageError(f"{refused}: it holds a {type(state).__name__}, not tensors by name")
    return dict(state)


def load_into(model: Model, state: Mapping[str, Tensor], path: Path) -> Model:
    """`model` (built on the meta device) with `state`'s tensors as its own, in evaluation mode, frozen.

    Raises:
        UsageError: the layout, keys and shapes, is not the model's; it says what differs.
    """
    wanted = openai_layout(model)
    if not wanted.keys() & state.keys():  # our own names
        wanted = {key: value.shape for key, value in model.state_dict().items()}
    missing = [key for key in wanted if key not in state]
    unknown = [key for key in state if key not in wanted]
    other = [
        f"{key} {tuple(state[key].shape)}, not {tuple(shape)}"
        for key, shape in wanted.items()
        if key in state and state[key].shape != shape
    ]
    if missing or unknown or other:
        lines = [f"{path}: an unknown checkpoint layout; it does not fit the model that it is for"]
        for what, names in (("missing", missing), ("not known", unknown), ("of another shape", other)):
            if names:
                rest = f" … and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
                lines.append(f"  {len(names)} {what}: {shown(', '.join(names[:_NAMES_SHOWN]), 400)}{rest}")
        raise UsageError("\n".join(lines))
    model.load_state_dict(state, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def openai_layout(model: nn.Module) -> dict[str, torch.Size]:
    """OpenAI's key -> shape for a model with `openai_keys`."""
    own = model.state_dict()
    return {theirs: own[ours].shape for theirs, ours in model.openai_keys.items() if ours in own}
