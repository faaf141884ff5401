"""From what a network draws to pixels: 8-bit values, arrays, a grid to look at, and how far two pictures are apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from PIL import Image
from torch import Tensor


def to_pixels(images: Float[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
    """-1 … 1 to 0 … 255, clipped, rounded in float32; stays on its device."""
    return (images.float().clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)


def to_arrays(pixels: UInt8[Tensor, "b 3 h w"]) -> UInt8[np.ndarray, "b h w 3"]:
    """The same pixels with the channels last, as every generator returns them."""
    return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def save_grid(pixels: UInt8[Tensor, "b 3 h w"], path: Path, columns: int = 8) -> None:
    """Pictures line by line, at most `columns` beside each other, as one PNG; the rest of the last line is white."""
    from torchvision.utils import make_grid  # here, for drawing does without it

    grid = make_grid(pixels.cpu(), columns, padding=0, pad_value=255)
    Image.fromarray(to_arrays(grid[None])[0]).save(path)


def psnr(pixels: UInt8[Tensor, "b 3 h w"], originals: UInt8[Tensor, "b 3 h w"]) -> Float32[Tensor, " b"]:
    """Peak signal-to-noise ratio of each picture in dB; 68 at most, which is that of equal pictures."""
    error = (pixels.float() - originals.float()).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(255**2 / error.clamp(min=1e-2))
