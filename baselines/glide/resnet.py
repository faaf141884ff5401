"""The residual block of the UNets, and the embedding of the timestep that modulates it."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor, nn
from torch.nn import functional as F


def timestep_embedding(timesteps: Int[Tensor, " b"], width: int) -> Float32[Tensor, "b width"]:
    """Cosines, then sines, of t at frequencies from 1 down to 1/10000 (Vaswani et al., arXiv 1706.03762, section 3.5).

    `width` is even.
    """
    half = width // 2
    exponents = torch.arange(half, dtype=torch.float32, device=timesteps.device) / half
    angles = timesteps[:, None].float() * torch.exp(-math.log(10000) * exponents)
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class ResnetBlock(nn.Module):
    """Two convolutions; the embedding scales and shifts between them (Dhariwal & Nichol, arXiv 2105.05233, section 3).

    With `resample`, both branches change their resolution before the first convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        embedding_width: int,
        dropout: float,
        norm_groups: int,
        resample: Literal["up", "down"] | None = None,
    ) -> None:
        super().__init__()
        self.resample = resample
        self.norm1 = nn.GroupNorm(norm_groups, in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.time_emb_proj = nn.Linear(embedding_width, 2 * out_channels)
        self.norm2 = nn.GroupNorm(norm_groups, out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)  # each block starts as the identity
        nn.init.zeros_(self.conv2.bias)
        self.conv_shortcut = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()

    def forward(self, x: Float[Tensor, "b c h w"], embedding: Float[Tensor, "b d"]) -> Float[Tensor, "b c2 h2 w2"]:
        """`embedding` is that of the timestep and of the whole prompt."""
        h = F.silu(self.norm1(x))
        if self.resample == "down":
            x, h = F.avg_pool2d(x, 2), F.avg_pool2d(h, 2)
        elif self.resample == "up":
            x, h = F.interpolate(x, scale_factor=2.0), F.interpolate(h, scale_factor=2.0)  # nearest
        h = self.conv1(h)
        scale, shift = self.time_emb_proj(F.silu(embedding))[..., None, None].chunk(2, dim=1)
        h = F.silu(self.norm2(h) * (1 + scale) + shift)
        return self.conv_shortcut(x) + self.conv2(self.dropout(h))
