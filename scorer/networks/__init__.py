"""The networks that measure: found on this machine, hashed, and read without running foreign code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch

from submission.hashes import json_sha256

Network = TypeVar("Network", covariant=True)


@dataclass(frozen=True)
class Backbone(Generic[Network]):
    """A network that is on this machine: the fingerprint's name and hash of it, known before it is read.

    The hash is that of its weights, and where they are used otherwise than usual, of how as well (`used`).
    `load(device)` reads it; raises MissingPart when the file holds another network.
    """

    name: str
    sha256: str
    load: Callable[[torch.device], Network]


def named(name: str, precision: str) -> str:
    """The fingerprint's name of a network at a precision: "clean", or "clean bf16" when it runs in bfloat16."""
    return name if precision == "exact" else f"{name} bf16"


def used(sha256: str, **otherwise: Any) -> str:
    """The fingerprint's hash of weights that are used `otherwise` than usual: theirs where there is nothing to say."""
    return json_sha256([sha256, otherwise]) if otherwise else sha256
