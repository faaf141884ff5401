"""PSNR of each image against the reference of the same name, averaged over images.

Per image, so that the mean is over images (the PSNR of the pooled error would be another number), and one identical
pair cannot make it infinite.
"""

from __future__ import annotations

import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from scorer.device import in_parts
from scorer.families import Families
from scorer.metrics.base import PerPair, Results, require_pairs

CAP = 100.0  # dB, given to identical pairs, whose PSNR is infinite


def psnr(images: UInt8[Tensor, "b 3 h w"], references: UInt8[Tensor, "b 3 h w"]) -> Float64[Tensor, " b"]:
    """Peak signal-to-noise ratio of each pair in dB (peak 1.0), +inf for identical pairs.

    Raises:
        ValueError: the shapes differ (they would broadcast silently).
    """
    require_pairs(images, references)
    # Integers first: the squared error of 8-bit images is exact, so only the logarithm rounds.
    error = in_parts(lambda a, b: (a.int() - b.int()).square_().sum(dim=(1, 2, 3)), images, references).double()
    mean_squared_error = error / (images[0].numel() * 255.0**2)
    return -10.0 * mean_squared_error.log10()


class PSNR(PerPair):
    """The mean PSNR, of identical pairs counted as CAP."""

    names = ("psnr",)
    each = staticmethod(psnr)

    def per_image(self) -> Float64[Tensor, " n"]:
        """The PSNR of each image, CAP at most."""
        return super().per_image().clamp(max=CAP)

    def results(self, families: Families) -> Results:
        """The per-image values, and how many pairs are identical."""
        results = super().results(families)
        if identical := int(torch.isinf(super().per_image()).sum()):
            are = "image is" if identical == 1 else "images are"
            note = f"{identical} {are} identical to the reference, pixel by pixel (PSNR counted as {CAP:.0f} dB)"
            results.notes.append(note)
        return results
