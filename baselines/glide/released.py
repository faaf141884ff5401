"""The models that OpenAI released (github.com/openai/glide-text2im): their sizes, their files, where to get them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from baselines.glide.config import ClipTowerConfig, GlideConfig, NoisedClipConfig, UNetConfig

CLIP_FILES = ("clip_image_enc", "clip_text_enc")
FILES = ("base", "upsample", *CLIP_FILES, "base_inpaint", "upsample_inpaint")
GPT2_FILES = "vocab.json and merges.txt of https://huggingface.co/openai-community/gpt2"
_HOST = "https://openaipublic.blob.core.windows.net/diffusion/dec-2021"


def download(names: Sequence[str]) -> str:
    """How to get these of `FILES`, one line for each, to be read under each other in a `MissingPart`."""
    return "\n              ".join(f"{_HOST}/{name}.pt" for name in names)


_BASE = UNetConfig(
    image_size=64,
    model_channels=192,
    num_res_blocks=3,
    channel_mult=(1, 2, 3, 4),
    attention_resolutions=(32, 16, 8),
    num_head_channels=64,
    text_length=128,
    text_width=512,
    text_layers=16,
    text_heads=8,
    vocab_size=50257,
    noise_schedule="squaredcos_cap_v2",
)
_UPSAMPLE = replace(
    _BASE,
    image_size=256,
    num_res_blocks=2,
    channel_mult=(1, 1, 2, 2, 4, 4),
    noise_schedule="linear",
    super_res=True,
)

OPENAI = GlideConfig(
    models={
        "base": _BASE,
        "upsample": _UPSAMPLE,
        "base_inpaint": replace(_BASE, inpaint=True),
        "upsample_inpaint": replace(_UPSAMPLE, inpaint=True),
    },
    clip=NoisedClipConfig(
        image=ClipTowerConfig(num_layers=12, num_heads=12, head_dim=64),
        text=ClipTowerConfig(num_layers=12, num_heads=8, head_dim=64),
        image_size=64,
        patch_size=4,
        embed_dim=512,
        vocab_size=65536,  # CLIP has 49,408 ids; the table is padded
        text_length=77,
    ),
)
