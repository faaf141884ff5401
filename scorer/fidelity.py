"""PSNR and SSIM of each image against the reference of the same name.

Per-image values, so that the mean is over images (the PSNR of the pooled error would be another number), and one
identical pair cannot make it infinite.
"""

from __future__ import annotations

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

PSNR_CAP = 100.0  # dB, given to identical pairs, whose PSNR is infinite
SMALLEST_SIDE = 6  # pixels: SSIM's Gaussian window of 11 reflects 5 of them at each border


def psnr(images: UInt8[Tensor, "b 3 h w"], references: UInt8[Tensor, "b 3 h w"]) -> Float32[Tensor, " b"]:
    """Peak signal-to-noise ratio of each pair in dB (peak 1.0), +inf for identical pairs.

    Raises:
        ValueError: the shapes differ (they would broadcast silently).
    """
    _require_same_shape(images, references)
    # Integers first: the squared error of 8-bit images is exact, so only the logarithm rounds.
    error = (images.int() - references.int()).square_().sum(dim=(1, 2, 3)).double()
    mean_squared_error = error / (images[0].numel() * 255.0**2)
    return (-10.0 * mean_squared_error.log10()).float()


def ssim(images: UInt8[Tensor, "b 3 h w"], references: UInt8[Tensor, "b 3 h w"]) -> Float32[Tensor, " b"]:
    """Structural similarity of each pair (Wang et al. 2004), Gaussian window σ = 1.5, values on [0, 1].

    torchmetrics' definition: RGB channels averaged, borders reflected and counted in. Other libraries crop the border,
    read the luma channel or shrink the image first, and give other numbers.

    Raises:
        ValueError: the shapes differ, or a side is under 6 pixels.
    """
    # Imported here because it takes seconds, which `--help` has no use for.
    from torchmetrics.functional.image import structural_similarity_index_measure

    _require_same_shape(images, references)
    if min(images.shape[-2:]) < SMALLEST_SIDE:
        raise ValueError(f"SSIM needs images of at least {SMALLEST_SIDE} pixels a side, got {tuple(images.shape[-2:])}")
    return structural_similarity_index_measure(
        images.float() / 255.0,
        references.float() / 255.0,
        gaussian_kernel=True,
        sigma=1.5,
        data_range=1.0,
        reduction="none",
    )


def _require_same_shape(images: Tensor, references: Tensor) -> None:
    if images.shape != references.shape or images.dtype != torch.uint8 or references.dtype != torch.uint8:
        raise ValueError(
            f"images are {images.dtype} {tuple(images.shape)}, references {references.dtype} {tuple(references.shape)}"
        )
