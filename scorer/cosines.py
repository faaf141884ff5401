"""Cosines between rows of two tables, in float64 and in parts."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor
from torch.nn.functional import normalize

CHUNK = 4096  # rows in float64 at a time: features may be of any number, and mapped from a file


def cosines(a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float64[Tensor, " n"]:
    """Cosine of each row of `a` with the same row of `b`, in float64, on the device of `b`."""
    parts = zip(a.split(CHUNK), b.split(CHUNK), strict=True)
    return torch.cat(
        [(normalize(x.to(y.device).double(), dim=1) * normalize(y.double(), dim=1)).sum(dim=1) for x, y in parts]
    )


def cosines_with_prompts(
    images: Float[Tensor, "n d"], texts: Float[Tensor, "t d"], rows: Int[Tensor, " n"]
) -> Float64[Tensor, " n"]:
    """Cosine of each image with its prompt, a row of `texts`, in float64, on the device of `rows`.

    The tables may be elsewhere: a large one is mapped from a file, whatever the device.
    """
    parts = zip(images.split(CHUNK), rows.split(CHUNK), strict=True)
    return torch.cat([cosines(some, texts[places.to(texts.device)].to(places.device)) for some, places in parts])
