"""The same CLIP embeddings for less work: what is computed here and never read is left out, and nothing else.

Each step looks whether the model is the plain transformer that it knows, and leaves any other as it is. The embeddings
move by rounding (about 1e-7); a test holds them to open_clip's own.

On the CPU, the weights of linear layers are packed once into oneDNN's own layout, which is a fifth faster than
PyTorch's product: the same float32 arithmetic in another order of sums. PyTorch's compiler uses the same two operators;
where a build of PyTorch lacks them, nothing is packed and everything else is the same.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class ClassTokenBlock(nn.Module):
    """A transformer's last block, computed for the class token alone: the image's embedding reads no other."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block: Any = block

    def forward(self, x: Float[Tensor, "b tokens d"], attn_mask: Tensor | None = None) -> Float[Tensor, "b 1 d"]:
        block, every = self.block, self.block.ln_1(x)
        attended = block.attn(every[:, :1], every, every, need_weights=False, attn_mask=attn_mask)[0]
        first: Tensor = x[:, :1] + block.ls_1(attended)
        first = first + block.ls_2(block.mlp(block.ln_2(first)))
        return first


def speed_up(model: Any, *, pack_weights: bool) -> None:
    """Change an open_clip model in place, where its towers are plain transformers.

    `pack_weights` is for float32 on the CPU alone.
    """
    from open_clip import transformer

    tower: Any = getattr(model, "visual", None)
    if type(tower) is transformer.VisionTransformer and _is_plain(tower.transformer):
        blocks = tower.transformer.resblocks
        for block in blocks:
            if type(block.mlp.gelu) is transformer.QuickGELU:
                _fuse_quick_gelu(block.mlp)
        if tower.attn_pool is None and tower.pool_type == "tok" and not tower.output_tokens:
            blocks[-1] = ClassTokenBlock(blocks[-1])
        if pack_weights:
            pack(tower.transformer)
    if pack_weights and _is_plain(getattr(model, "transformer", None)):
        pack(model.transformer)


def _is_plain(blocks: Any) -> bool:
    from open_clip import transformer

    return (
        type(blocks) is transformer.Transformer
        and blocks.batch_first
        and all(type(block) is transformer.ResidualAttentionBlock for block in blocks.resblocks)
    )


@torch.no_grad()
def _fuse_quick_gelu(mlp: Any) -> None:
    """x · σ(1.702 x) = silu(1.702 x) / 1.702: one pass over the widest tensor, not three; weights take the factor."""
    for tensor in (mlp.c_fc.weight, mlp.c_fc.bias):
        tensor.copy_(tensor.double() * 1.702)
    mlp.c_proj.weight.copy_(mlp.c_proj.weight.double() / 1.702)
    mlp.gelu = nn.SiLU(inplace=True)


def encode_text(model: Any, tokens: Int[Tensor, "n context"]) -> Float[Tensor, "n d"]:
    """`model.encode_text`, without the positions behind the longest text where those cannot matter.

    CLIP reads a text from left to right and takes what it knows at the end token, so what is padded behind it is
    computed for nothing: most of the work for captions of usual length.
    """
    import open_clip

    if type(model) is not open_clip.CLIP or model.text_pool_type not in ("argmax", "eos") or model.attn_mask is None:
        embeddings: Tensor = model.encode_text(tokens)
        return embeddings
    end_token = model.text_eos_id if model.text_pool_type == "eos" else tokens.amax(dim=1, keepdim=True)
    last = (tokens == end_token).int().argmax(dim=1)  # the first of equal ones, as open_clip takes it
    length = int(last.max()) + 1
    x: Tensor = model.token_embedding(tokens[:, :length]) + model.positional_embedding[:length]
    x = model.transformer(x, attn_mask=model.attn_mask[:length, :length])
    x = model.ln_final(x)[torch.arange(len(x), device=x.device), last]
    if model.text_projection is None:
        return x
    x = model.text_projection(x) if isinstance(model.text_projection, nn.Linear) else x @ model.text_projection
    return x


def can_pack(device: torch.device) -> bool:
    """Whether this PyTorch has oneDNN's linear product for that device."""
    return (
        device.type == "cpu"
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    )


class PackedLinear(nn.Module):
    """x · weightᵀ + bias, for float32 x of any leading shape; it holds no second copy of the weight."""

    def __init__(self, weight: Float32[Tensor, "k d"], bias: Float32[Tensor, " k"] | None) -> None:
        super().__init__()
        # A plain attribute: an opaque tensor cannot be saved or moved. Callers read its dtype, which it keeps.
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous())
        self.bias = None if bias is None else bias.detach().clone()

    def forward(self, x: Float32[Tensor, "*batch d"]) -> Float32[Tensor, "*batch k"]:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        return product


class PackedAttention(nn.Module):
    """nn.MultiheadAttention(batch_first=True) in eval mode, for keys that are the values; returns no weights."""

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.heads, d = attention.num_heads, attention.embed_dim
        weight, bias = attention.in_proj_weight, attention.in_proj_bias
        self.query = PackedLinear(weight[:d], None if bias is None else bias[:d])
        self.key_value = PackedLinear(weight[d:], None if bias is None else bias[d:])
        self.out = PackedLinear(attention.out_proj.weight, attention.out_proj.bias)

    def forward(
        self,
        query: Float32[Tensor, "b t d"],
        key: Float32[Tensor, "b s d"],
        value: Float32[Tensor, "b s d"],
        need_weights: bool = False,
        attn_mask: Float32[Tensor, "t s"] | None = None,
    ) -> tuple[Float32[Tensor, "b t d"], None]:
        if need_weights or value is not key:
            raise ValueError("packed attention returns no weights, and its values are its keys")
        q = self.query(query).unflatten(2, (self.heads, -1)).transpose(1, 2)
        k, v = self.key_value(key).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = scaled_dot_product_attention(q, k, v, attn_mask=attn_mask)
        return self.out(attended.transpose(1, 2).flatten(2)), None


def pack(module: nn.Module) -> None:
    """Replace, in place, every plain nn.Linear and every nn.MultiheadAttention that PackedAttention can stand for."""
    for name, child in module.named_children():
        if type(child) is nn.Linear:
            setattr(module, name, PackedLinear(child.weight, child.bias))
        elif type(child) is nn.MultiheadAttention:
            plain = child.batch_first and child.in_proj_weight is not None and child.bias_k is None
            if plain and not child.add_zero_attn:
                setattr(module, name, PackedAttention(child))
        else:
            pack(child)
