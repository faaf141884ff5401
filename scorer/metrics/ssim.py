"""SSIM of each image against the reference of the same name, averaged over images."""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from scorer.device import in_parts
from scorer.metrics.base import PerPair, require_pairs

SIGMA = 1.5  # pixels, of SSIM's Gaussian window
SMALLEST_SIDE = 6  # pixels: SSIM's Gaussian window of 11 reflects 5 of them at each border


def ssim(images: UInt8[Tensor, "b 3 h w"], references: UInt8[Tensor, "b 3 h w"]) -> Float32[Tensor, " b"]:
    """Structural similarity of each pair (Wang et al. 2004, eq. 13), Gaussian window σ = 1.5, values on [0, 1].

    torchmetrics' definition: RGB channels averaged, borders reflected and counted in. Other libraries crop the border,
    read the luma channel or shrink the image first, and give other numbers.

    Raises:
        ValueError: the shapes differ, or a side is under 6 pixels.
    """
    require_pairs(images, references)
    height, width = images.shape[-2:]
    if min(height, width) < SMALLEST_SIDE:
        raise ValueError(f"SSIM needs images of at least {SMALLEST_SIDE} pixels a side, got {height}×{width}")
    return in_parts(_ssim, images, references)


def _ssim(images: UInt8[Tensor, "b 3 h w"], references: UInt8[Tensor, "b 3 h w"]) -> Float32[Tensor, " b"]:
    # Two matrix products a map, several times faster than an 11 × 11 convolution at the sizes that are scored.
    height, width = images.shape[-2:]
    rows, columns = _gaussian_matrix(height, images.device), _gaussian_matrix(width, images.device).T
    x, y = images.float() / 255.0, references.float() / 255.0
    # Only the sum of both variances is needed, so their squares share an average.
    mean_x, mean_y, mean_squares, mean_xy = (rows @ (z @ columns) for z in (x, y, x * x + y * y, x * y))
    variances = (mean_squares - mean_x * mean_x - mean_y * mean_y).clamp_(min=0.0)
    covariance = mean_xy - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2  # (K1 L)² and (K2 L)² with L = 1
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity /= (mean_x * mean_x + mean_y * mean_y + c1) * (variances + c2)
    return similarity.mean(dim=(1, 2, 3))


@lru_cache(maxsize=32)
def _gaussian_matrix(size: int, device: torch.device) -> Float32[Tensor, "size size"]:
    """The window's average along one side as a matrix, the border reflected without repeating its pixel."""
    radius = int(3.5 * SIGMA + 0.5)
    offsets = torch.arange(-radius, radius + 1)
    window = torch.exp(-0.5 * (offsets.double() / SIGMA) ** 2)
    source = (torch.arange(size)[:, None] + offsets).abs()
    source = torch.where(source < size, source, 2 * (size - 1) - source)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    matrix.scatter_add_(1, source, (window / window.sum()).expand(size, -1))
    return matrix.to(device, torch.float32)


class SSIM(PerPair):
    names = ("ssim",)
    smallest_side = SMALLEST_SIDE
    each = staticmethod(ssim)
