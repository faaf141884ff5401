"""CLIP-I and CLIP-T: mean cosines between CLIP embeddings, raw (neither scaled by 100 nor clipped at 0).

CLIP-T compares an image with its prompt (CLIPScore without its scaling, Hessel et al., EMNLP 2021), CLIP-I with the
reference image of the same name. A cosine means little by itself: its floor is the value for the wrong prompts.
"""

from __future__ import annotations

from collections.abc import Sequence

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


def distinct(texts: Sequence[str]) -> tuple[list[str], list[int]]:
    """The distinct texts in order of appearance, and for each text its place among them."""
    places: dict[str, int] = {}
    index = [places.setdefault(text, len(places)) for text in texts]
    return list(places), index


def mismatched(index: Int[Tensor, " n"], n_texts: int) -> Int[Tensor, " n"]:
    """For each image the place of a wrong text: half-way around the list of distinct ones, the same in every run.

    Half-way rather than next, because neighbouring prompts often describe the same subject. Needs two texts or more.
    """
    if n_texts < 2:
        raise ValueError("there is no wrong prompt when all prompts are the same")
    return (index + n_texts // 2) % n_texts
