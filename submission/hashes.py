"""SHA-256 of files, pixels and submissions, as manifests, fingerprints and caches name them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal. Raises OSError when it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pixel_sha256(image: np.ndarray) -> str:
    """The SHA-256 of a uint8 RGB image (H, W, 3), in hexadecimal: its size and its pixels, whatever file held them."""
    digest = hashlib.sha256(f"{image.shape[1]}x{image.shape[0]}:".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def json_sha256(value: object) -> str:
    """SHA-256, in hexadecimal, of what JSON says of a value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def content_sha256(hashes: Mapping[str, str]) -> str:
    """One hash for a set of named things: sha256 over the lines "name\\0sha256\\n", sorted by name."""
    lines = "".join(f"{name}\0{digest}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
