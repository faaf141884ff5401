"""What GLIDE's UNets are made of: residual and attention blocks, and the text encoder (GLIDE, section 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.glide.config import UNetConfig

Layer = TypeVar("Layer", bound=nn.Module)


def zeroed(layer: Layer) -> Layer:
    """`layer` with weights and biases of zero: what adds it to its input starts as the identity."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class TextStates(NamedTuple):
    """A prompt as the UNet sees it: `hidden` (b, length, text_width) is attended to, `pooled` (b, d) modulates."""

    hidden: Tensor
    pooled: Tensor


class TransformerLayer(nn.Module):
    """Pre-norm attention and MLP."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm1 = nn.LayerNorm(width)
        self.to_qkv = nn.Linear(width, 3 * width)
        self.to_out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Float[Tensor, "b l d"]) -> Float[Tensor, "b l d"]:
        """No mask: padding has embeddings of its own, which are attended to."""
        # Head-major, as in the UNet: head 0's q, k, v, head 1's …
        heads = self.to_qkv(self.norm1(x)).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        attended = F.scaled_dot_product_attention(*heads.chunk(3, dim=-1))
        x = x + self.to_out(attended.transpose(1, 2).flatten(2))
        x = x + self.fc2(F.gelu(self.fc1(self.norm2(x))))
        return x


class TextTransformer(nn.Module):
    """Token ids to hidden states and the pooled state, that of the last position, projected to `embedding_width`."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        width = config.text_width
        self.token_embedding = nn.Embedding(config.vocab_size, width)
        # Sinusoids as large as the tokens: with small random numbers, the order of words is hardly learned.
        positions = timestep_embedding(torch.arange(config.text_length), width)
        self.position_embedding = nn.Parameter(positions)
        self.padding_embedding = nn.Parameter(positions.clone())
        self.layers = nn.ModuleList(TransformerLayer(width, config.text_heads) for _ in range(config.text_layers))
        self.final_layer_norm = nn.LayerNorm(width)
        self.pooled_projection = nn.Linear(width, config.embedding_width)

    def forward(self, tokens: Int[Tensor, "b l"], mask: Bool[Tensor, "b l"]) -> TextStates:
        """`mask` is True at real tokens; elsewhere the id does not matter: the position's padding embedding is used."""
        x = self.token_embedding(tokens) + self.position_embedding
        x = torch.where(mask[..., None], x, self.padding_embedding)
        for layer in self.layers:
            x = layer(x)
        hidden: Float[Tensor, "b l d"] = self.final_layer_norm(x)
        return TextStates(hidden, self.pooled_projection(hidden[:, -1]))


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
        self, config: UNetConfig, in_channels: int, out_channels: int, resample: Literal["up", "down"] | None = None
    ) -> None:
        super().__init__()
        self.resample = resample
        self.norm1 = nn.GroupNorm(config.norm_groups, in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.time_emb_proj = nn.Linear(config.embedding_width, 2 * out_channels)
        self.norm2 = nn.GroupNorm(config.norm_groups, out_channels)
        self.dropout = nn.Dropout(config.dropout)
        self.conv2 = zeroed(nn.Conv2d(out_channels, out_channels, 3, padding=1))
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
        x = self.conv_shortcut(x) + self.conv2(self.dropout(h))
        return x


class AttentionBlock(nn.Module):
    """Residual attention whose keys are the text states, then the image positions (GLIDE, section 4)."""

    def __init__(self, config: UNetConfig, channels: int) -> None:
        super().__init__()
        self.num_heads = channels // config.num_head_channels
        self.group_norm = nn.GroupNorm(config.norm_groups, channels)
        self.to_qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.add_kv_proj = nn.Conv1d(config.text_width, 2 * channels, 1)
        self.to_out = zeroed(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Float[Tensor, "b c h w"], text: Float[Tensor, "b l d"]) -> Float[Tensor, "b c h w"]:
        """Adds to each position what it attends to."""
        query, key, value = self._heads(self.to_qkv(self.group_norm(x).flatten(2)), parts=3)
        text_key, text_value = self._heads(self.add_kv_proj(text.mT), parts=2)
        key, value = torch.cat([text_key, key], dim=2), torch.cat([text_value, value], dim=2)
        attended = F.scaled_dot_product_attention(query, key, value)
        x = x + self.to_out(attended.mT.flatten(1, 2)).view_as(x)
        return x

    def _heads(self, projected: Float[Tensor, "b c l"], parts: int) -> Sequence[Tensor]:
        """`parts` tensors (b, heads, l, width). The channels lie head-major: head 0's q, k, v, head 1's …"""
        heads: Tensor = projected.unflatten(1, (self.num_heads, -1)).mT
        return heads.chunk(parts, dim=-1)
