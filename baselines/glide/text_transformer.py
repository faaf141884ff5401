"""The UNets' text encoder: a bidirectional transformer over the prompt's tokens (GLIDE, section 4)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


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
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class TextTransformer(nn.Module):
    """Token ids to hidden states and the pooled state, that of the last position, projected to `pooled_width`."""

    def __init__(
        self, vocab_size: int, length: int, width: int, num_layers: int, num_heads: int, pooled_width: int
    ) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocab_size, width)
        self.position_embedding = nn.Parameter(torch.randn(length, width) * 0.01)
        self.padding_embedding = nn.Parameter(torch.randn(length, width) * 0.01)
        self.layers = nn.ModuleList(TransformerLayer(width, num_heads) for _ in range(num_layers))
        self.final_layer_norm = nn.LayerNorm(width)
        self.pooled_projection = nn.Linear(width, pooled_width)

    def forward(self, tokens: Int[Tensor, "b l"], mask: Bool[Tensor, "b l"]) -> TextStates:
        """`mask` is True at real tokens; elsewhere the id does not matter: the position's padding embedding is used."""
        x = self.token_embedding(tokens) + self.position_embedding
        x = torch.where(mask[..., None], x, self.padding_embedding)
        for layer in self.layers:
            x = layer(x)
        hidden: Float[Tensor, "b l d"] = self.final_layer_norm(x)
        return TextStates(hidden, self.pooled_projection(hidden[:, -1]))
