"""Strong augmentation: each picture turned, zoomed and moved on white, its light and contrast changed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor
from torch.nn import functional

from baselines.training.batches import to_device

ANGLE, ZOOM, MOVE = 0.26, 0.15, 0.1  # radians, fraction of the size, fraction of half the width and height, at most
LIGHT, CONTRAST = 0.15, 0.2  # of values in -1 … 1, fraction; colours keep their hue, which captions name
MOST = (ANGLE, ZOOM, MOVE, MOVE, LIGHT, CONTRAST)


def draw_changes(count: int, generator: torch.Generator, most: Sequence[float] = MOST) -> Float32[Tensor, "k count"]:
    """Of each picture its angle, zoom, way to the right and down, light and contrast, or the first k of them.

    `generator` is on the CPU.
    """
    return (torch.rand(len(most), count, generator=generator) * 2 - 1) * torch.tensor(most)[:, None]


def moved(x: Float32[Tensor, "b 3 h w"], changes: Float32[Tensor, "4 b"], white: float) -> Float32[Tensor, "b 3 h w"]:
    """Pictures turned, zoomed and moved on white, which is the value `white`; they may be on any device."""
    angle, zoom, dx, dy = changes
    cosine, sine = (1 + zoom) * angle.cos(), (1 + zoom) * angle.sin()
    affine = to_device(torch.stack([cosine, -sine, dx, sine, cosine, dy], dim=1).view(-1, 2, 3), x.device)
    grid = functional.affine_grid(affine, list(x.shape), align_corners=False)
    return functional.grid_sample(x - white, grid, align_corners=False) + white  # outside is 0


def augmented(images: UInt8[Tensor, "b 3 h w"], changes: Float32[Tensor, "6 b"]) -> Float32[Tensor, "b 3 h w"]:
    """Pictures in -1 … 1, each changed; they may be on any device."""
    changes = changes.to(images.device)
    x = moved(images.float() / 127.5 - 1, changes[:4], white=1.0)
    light, contrast = changes[4:]
    x = x * (1 + contrast.view(-1, 1, 1, 1)) + light.view(-1, 1, 1, 1)
    return torch.clamp(x, -1, 1)
