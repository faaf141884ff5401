"""Attention of image positions to the prompt's tokens and to each other, in one softmax."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class AttentionBlock(nn.Module):
    """Residual attention whose keys are the text states, then the image positions (GLIDE, section 4)."""

    def __init__(self, channels: int, num_head_channels: int, text_width: int, norm_groups: int) -> None:
        super().__init__()
        self.num_heads = channels // num_head_channels
        self.group_norm = nn.GroupNorm(norm_groups, channels)
        self.to_qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.add_kv_proj = nn.Conv1d(text_width, 2 * channels, 1)
        self.to_out = nn.Conv1d(channels, channels, 1)
        nn.init.zeros_(self.to_out.weight)  # each block starts as the identity
        nn.init.zeros_(self.to_out.bias)

    def forward(self, x: Float[Tensor, "b c h w"], text: Float[Tensor, "b l d"]) -> Float[Tensor, "b c h w"]:
        """Adds to each position what it attends to."""
        query, key, value = self._heads(self.to_qkv(self.group_norm(x).flatten(2)), parts=3)
        text_key, text_value = self._heads(self.add_kv_proj(text.mT), parts=2)
        key, value = torch.cat([text_key, key], dim=2), torch.cat([text_value, value], dim=2)
        attended = F.scaled_dot_product_attention(query, key, value)
        return x + self.to_out(attended.mT.flatten(1, 2)).view_as(x)

    def _heads(self, projected: Float[Tensor, "b c l"], parts: int) -> tuple[Tensor, ...]:
        """`parts` tensors (b, heads, l, width). The channels lie head-major: head 0's q, k, v, head 1's …"""
        return projected.unflatten(1, (self.num_heads, -1)).mT.chunk(parts, dim=-1)
