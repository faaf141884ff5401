"""The exact resizes of the reference implementations, as separable matrix products that run on any device.

Every network was measured behind one particular resize, and a different one moves the scores more than many models
differ (Parmar et al., "On Aliased Resizing and Surprising Subtleties in GAN Evaluation", CVPR 2022). Pillow's
resampling (Resample.c) is linear and separable: one small matrix a side reproduces it, and the matrices are cached.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

from scorer.device import in_parts

# Pillow's 8-bit path multiplies with integers of 22 fractional bits (Resample.c, PRECISION_BITS).
PRECISION_BITS = 22


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic kernel with a = -0.5, the one of Pillow (PyTorch's has a = -0.75)."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = -0.5 * (((x - 5.0) * x + 8.0) * x - 4.0)
    values: np.ndarray = np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))
    return values


def _triangle(x: np.ndarray) -> np.ndarray:
    values: np.ndarray = np.maximum(1.0 - np.abs(x), 0.0)
    return values


FILTERS = {"bicubic": (_cubic, 2.0), "bilinear": (_triangle, 1.0)}


def pillow_coefficients(in_size: int, out_size: int, filter: str, rows: range) -> Float[np.ndarray, "rows in_size"]:
    """Pillow's resampling of one side as a float64 matrix whose rows sum to 1 (Resample.c, precompute_coeffs).

    `rows`: only these of the `out_size` rows, where the others would be cropped away.
    """
    kernel, radius = FILTERS[filter]
    scale = in_size / out_size
    filter_scale = max(scale, 1.0)  # anti-aliasing: the kernel widens when shrinking
    support = radius * filter_scale
    centre = (np.asarray(rows) + 0.5) * scale
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + support + 0.5).astype(np.int64), in_size)
    pixel = np.arange(in_size)
    weights: np.ndarray = kernel((pixel[None] - centre[:, None] + 0.5) / filter_scale)
    weights[(pixel[None] < first[:, None]) | (pixel[None] >= last[:, None])] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


# A matrix is a few hundred rows of one image side: 10 MB at most, however narrow and long an image is.
@lru_cache(maxsize=24)
def _float_matrix(in_size: int, out_size: int, filter: str, device: torch.device) -> Tensor:
    return torch.from_numpy(pillow_coefficients(in_size, out_size, filter, range(out_size))).to(device, torch.float32)


@lru_cache(maxsize=24)
def _integer_matrix(in_size: int, out_size: int, filter: str, rows: range, device: torch.device) -> Tensor:
    scaled = pillow_coefficients(in_size, out_size, filter, rows) * (1 << PRECISION_BITS)
    rounded = np.trunc(scaled + np.copysign(0.5, scaled))
    # Held as float64: every product and sum stays below 2**53, so the arithmetic is that of integers.
    return torch.from_numpy(rounded).to(device)


def clean_fid_resize(images: UInt8[Tensor, "b c h w"], size: int) -> Float32[Tensor, "b c size size"]:
    """clean-fid's resize ("clean" mode): Pillow bicubic on float channels, never rounded, aspect ratio ignored.

    uint8 (B, C, H, W) -> float32 (B, C, size, size) in 0…255, within 0.001 grey levels of Pillow's mode "F".
    """
    _require_uint8(images)
    height, width = images.shape[-2:]
    horizontal = _float_matrix(width, size, "bicubic", images.device)
    vertical = _float_matrix(height, size, "bicubic", images.device)
    return in_parts(lambda part: (vertical @ (part.float() @ horizontal.T)).clamp_(0.0, 255.0), images)


def _resize_8bit(
    images: UInt8[Tensor, "b c h w"], height: int, width: int, filter: str, rows: range, columns: range
) -> UInt8[Tensor, "b c rows columns"]:
    """Pillow's 8-bit resize, bit by bit: two passes, each rounded and clipped to 0…255.

    `rows` and `columns`: what of the result is wanted; nothing else is computed.
    """
    _require_uint8(images)
    old_height, old_width = images.shape[-2:]

    def horizontally(images: Tensor) -> Tensor:
        if old_width == width:
            return images[..., columns.start : columns.stop]
        return _to_8bit(images.double() @ _integer_matrix(old_width, width, filter, columns, images.device).T)

    def vertically(images: Tensor) -> Tensor:
        if old_height == height:
            return images[..., rows.start : rows.stop, :]
        return _to_8bit(_integer_matrix(old_height, height, filter, rows, images.device) @ images.double())

    # The order matters for the rounding. Pillow 13 starts with the height where that saves work (its pull request 9549;
    # the rule was found by comparing outputs); older ones always start with the width. Taken here whatever Pillow is
    # installed, so that a score does not depend on it.
    height_first = old_height - height > 2 * max(old_width - width, 0)
    first, second = (vertically, horizontally) if height_first else (horizontally, vertically)
    return in_parts(lambda part: second(first(part)), images)


def _to_8bit(fixed_point: Tensor) -> Tensor:
    half = 1 << (PRECISION_BITS - 1)
    return fixed_point.add_(half).mul_(2.0**-PRECISION_BITS).floor_().clamp_(0, 255).to(torch.uint8)


def open_clip_resize(images: UInt8[Tensor, "b c h w"], size: int) -> UInt8[Tensor, "b c size size"]:
    """open_clip's evaluation transform up to the normalisation: shortest side to `size` (Pillow bicubic), centre crop.

    uint8 (B, C, H, W) -> uint8 (B, C, size, size), the very bytes of open_clip's Pillow transform.
    """
    height, width = images.shape[-2:]
    short = min(height, width)
    # torchvision's Resize: the long side is truncated to an integer.
    new_height, new_width = (int(size * side / short) if side != short else size for side in (height, width))
    # torchvision's CenterCrop: Python's round, half to even.
    top, left = round((new_height - size) / 2.0), round((new_width - size) / 2.0)
    rows, columns = range(top, top + size), range(left, left + size)
    return _resize_8bit(images, new_height, new_width, "bicubic", rows, columns)


def squash_resize(
    images: UInt8[Tensor, "b c h w"], size: int, filter: str = "bilinear"
) -> UInt8[Tensor, "b c size size"]:
    """Pillow's 8-bit resize to a square, aspect ratio ignored.

    With "bilinear" it is torchvision's `Resize((size, size))` of a Pillow image (the course protocol), with "bicubic"
    open_clip's resize mode "squash" (SigLIP). Bit-identical to Pillow.
    """
    return _resize_8bit(images, size, size, filter, range(size), range(size))


def legacy_pytorch_resize(images: UInt8[Tensor, "b c h w"], size: int) -> Float32[Tensor, "b c size size"]:
    """clean-fid's "legacy_pytorch", and pytorch-fid's resize: PyTorch's bilinear, which skips pixels when shrinking.

    uint8 (B, C, H, W) -> float32 (B, C, size, size) in 0…255, not rounded, aspect ratio ignored.
    """
    _require_uint8(images)
    resized = interpolate(images.float(), size=(size, size), mode="bilinear", align_corners=False, antialias=False)
    return resized.clamp_(0.0, 255.0)


def legacy_tensorflow_resize(images: UInt8[Tensor, "b c h w"], size: int) -> Float32[Tensor, "b c size size"]:
    """clean-fid's "legacy_tensorflow": TensorFlow 1's bilinear as NVIDIA's Inception archive does it inside itself.

    Output pixel j reads the source at j · in / size, half a pixel off to the top left, without antialiasing. Said by a
    sampling grid, as there, so that float32 rounds alike. uint8 (B, C, H, W) -> float32 (B, C, size, size) in 0…255.
    """
    _require_uint8(images)
    batch, channels, height, width = images.shape
    theta = torch.eye(2, 3, device=images.device)
    theta[0, 2] += theta[0, 0] / width - theta[0, 0] / size
    theta[1, 2] += theta[1, 1] / height - theta[1, 1] / size
    grid = affine_grid(theta.expand(batch, 2, 3), [batch, channels, size, size], align_corners=False)
    return grid_sample(images.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)


def _require_uint8(images: Tensor) -> None:
    # Floats would pass through the arithmetic unnoticed and on another scale.
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise TypeError(f"images must be uint8 (B, C, H, W), got {images.dtype} {tuple(images.shape)}")
