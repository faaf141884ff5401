"""Codes -> pictures."""

from __future__ import annotations

from diffusers import VQModel
from jaxtyping import Int, UInt8
from torch import Tensor

from baselines.pixels import to_pixels


def decode(vqvae: VQModel, codes: Int[Tensor, "b l"]) -> UInt8[Tensor, "b 3 h w"]:
    """The picture of each row of codes, which go through it line by line; any picture is square."""
    size = round(codes.shape[1] ** 0.5)
    quantized = vqvae.quantize.embedding(codes.view(-1, size, size)).permute(0, 3, 1, 2)
    return to_pixels(vqvae.decode(quantized, force_not_quantize=True).sample)
