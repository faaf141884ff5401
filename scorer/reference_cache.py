"""What does not depend on the submission, kept between runs: the networks' features of references and prompts.

A cache file is named by the hash of everything it depends on, so it is never stale; it can be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from submission import atomic
from submission.paths import cache_home

FORMAT = 1


def cache_file(facts: Mapping[str, str | int | None]) -> Path:
    """Where the features that depend on `facts` are kept."""
    text = json.dumps({"format": FORMAT, "torch": torch.__version__, **facts}, sort_keys=True)
    return cache_home() / "references" / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.safetensors"


def read(file: Path, rows: Mapping[str, int], device: torch.device) -> dict[str, Tensor] | None:
    """The tensors of `file` on `device`; None when it is not there, broken, or lacks one of `rows` (name -> length)."""
    try:
        tensors = load(file.read_bytes())
    except (OSError, SafetensorError):
        return None
    if any(name not in tensors or len(tensors[name]) != length for name, length in rows.items()):
        return None
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def write(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """Keep the tensors. A cache folder that cannot be written to costs time, nothing else."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(file, save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}))
