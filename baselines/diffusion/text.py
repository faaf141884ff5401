"""Prompts -> what the UNet attends to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float32
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from submission.progress import Progress

BATCH_SIZE = 256


@torch.no_grad()
def encode(
    model: CLIPTextModel, tokenizer: CLIPTokenizer, prompts: Sequence[str], *, progress: bool = False
) -> tuple[Float32[Tensor, "n l d"], Float32[Tensor, "n d"]]:
    """Hidden states of every token, and the pooled state of each prompt; longer prompts are cut at the model's length.

    float32 and padded to the full length, so that a prompt's encoding does not depend on its neighbours.
    `progress` shows how far it has come: a training set has tens of thousands of prompts.
    """
    hidden, pooled = [], []
    with Progress("encoding captions", len(prompts), show=progress) as shown:
        for start in range(0, len(prompts), BATCH_SIZE):
            batch = list(prompts[start : start + BATCH_SIZE])
            tokens = tokenizer(batch, padding="max_length", truncation=True, return_tensors="pt").to(model.device)
            output = model(tokens["input_ids"])
            hidden.append(output.last_hidden_state)
            pooled.append(output.pooler_output)
            shown.advance(len(batch))
    return torch.cat(hidden), torch.cat(pooled)


def encode_normalised(
    model: CLIPTextModel, tokenizer: CLIPTokenizer, prompts: Sequence[str], *, progress: bool = False
) -> Float32[Tensor, "n l d"]:
    """`encode`'s hidden states, each of length 1 (as Gu et al.'s code and diffusers' VQ-Diffusion have them)."""
    hidden, _ = encode(model, tokenizer, prompts, progress=progress)
    length: Tensor = hidden.norm(dim=-1, keepdim=True)
    return hidden / length
