"""Prompts -> what the transformer attends to."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float32
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from baselines.diffusion import text


def encode(
    model: CLIPTextModel, tokenizer: CLIPTokenizer, prompts: Sequence[str], *, progress: bool = False
) -> Float32[Tensor, "n l d"]:
    """Hidden states of every token, each of length 1 (as Gu et al.'s code and diffusers' pipeline have them).

    Longer prompts are cut at the model's length, shorter ones padded to it.
    """
    hidden, _ = text.encode(model, tokenizer, prompts, progress=progress)
    length: Tensor = hidden.norm(dim=-1, keepdim=True)
    return hidden / length
