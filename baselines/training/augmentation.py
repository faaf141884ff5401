"""Strong augmentation: each picture turned, zoomed and moved on white, its light and contrast changed."""

from __future__ import annotations

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor
from torch.nn import functional

ANGLE, ZOOM, MOVE = 0.26, 0.15, 0.1  # radians, fraction of the size, fraction of half the width and height, at most
LIGHT, CONTRAST = 0.15, 0.2  # of values in -1 … 1, fraction; colours keep their hue, which captions name


def draw_changes(count: int, generator: torch.Generator) -> Float32[Tensor, "6 count"]:
    """Of each picture its angle, zoom, way to the right and down, light and contrast; `generator` is on the CPU."""
    sizes = torch.tensor([ANGLE, ZOOM, MOVE, MOVE, LIGHT, CONTRAST])[:, None]
    return (torch.rand(6, count, generator=generator) * 2 - 1) * sizes


def augmented(images: UInt8[Tensor, "b 3 h w"], changes: Float32[Tensor, "6 b"]) -> Float32[Tensor, "b 3 h w"]:
    """Pictures in -1 … 1, each changed; they may be on any device."""
    angle, zoom, dx, dy, light, contrast = changes.to(images.device)
    cosine, sine = (1 + zoom) * angle.cos(), (1 + zoom) * angle.sin()
    affine = torch.stack([cosine, -sine, dx, sine, cosine, dy], dim=1).view(-1, 2, 3)
    x = images.float() / 127.5 - 1
    grid = functional.affine_grid(affine, list(x.shape), align_corners=False)
    x = functional.grid_sample(x - 1, grid, align_corners=False) + 1  # outside is white, which is 1
    x = x * (1 + contrast.view(-1, 1, 1, 1)) + light.view(-1, 1, 1, 1)
    return torch.clamp(x, -1, 1)
