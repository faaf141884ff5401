"""PSNR and SSIM of each image against the reference of the same name.

Per-image values, so that the mean is over images (the PSNR of the pooled error would be another number), and one
identical pair cannot make it infinite.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Float32, Float64, UInt8
from torch import Tensor

from scorer.device import in_parts

SIGMA = 1.5  # pixels, of SSIM's Gaussian window
PSNR_CAP = 100.0  # dB, given to identical pairs, whose PSNR is infinite
SMALLEST_SIDE = 6  # pixels: SSIM's Gaussian window of 11 reflects 5 of them at each border


def psnr(images: UInt8[Tensor, "b 3 h w"], references: UInt8[Tensor, "b 3 h w"]) -> Float64[Tensor, " b"]:
    """Peak signal-to-noise ratio of each pair in dB (peak 1.0), +inf for identical pairs.

    Raises:
        ValueError: the shapes differ (they would broadcast silently).
    """
    _require_same_shape(images, references)
    # Integers first: the squared error of 8-bit images is exact, so only the logarithm rounds.
    error = in_parts(lambda a, b: (a.int() - b.int()).square_().sum(dim=(1, 2, 3)), images, references).double()
    mean_squared_error = error / (images[0].numel() * 255.0**2)
    return -10.0 * mean_squared_error.log10()


def ssim(images: UInt8[Tensor, "b 3 h w"], references: UInt8[Tensor, "b 3 h w"]) -> Float32[Tensor, " b"]:
    """Structural similarity of each pair (Wang et al. 2004, eq. 13), Gaussian window σ = 1.5, values on [0, 1].

    torchmetrics' definition: RGB channels averaged, borders reflected and counted in. Other libraries crop the border,
    read the luma channel or shrink the image first, and give other numbers.

    Raises:
        ValueError: the shapes differ, or a side is under 6 pixels.
    """
    _require_same_shape(images, references)
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


def _require_same_shape(images: Tensor, references: Tensor) -> None:
    if images.shape != references.shape or images.dtype != torch.uint8 or references.dtype != torch.uint8:
        raise ValueError(
            f"images are {images.dtype} {tuple(images.shape)}, references {references.dtype} {tuple(references.shape)}"
        )
