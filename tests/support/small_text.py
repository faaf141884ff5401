"""A tokenizer of letters alone, and a random text encoder for it."""

from __future__ import annotations

import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from baselines.monster.tokenizer import build


def small_text(length: int, width: int = 16, layers: int = 1) -> tuple[CLIPTokenizer, CLIPTextModel]:
    """Both for so many tokens; the same weights each time."""
    tokenizer = build([], length)
    ends = {f"{end}_token_id": getattr(tokenizer, f"{end}_token_id") for end in ("bos", "eos", "pad")}
    shape = {"vocab_size": len(tokenizer), "max_position_embeddings": length, "num_hidden_layers": layers}
    shape |= {"hidden_size": width, "intermediate_size": 2 * width, "num_attention_heads": 2}
    torch.manual_seed(0)
    return tokenizer, CLIPTextModel(CLIPTextConfig(**shape, **ends)).eval()
