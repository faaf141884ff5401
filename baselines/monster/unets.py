"""The UNets of the monster by name: the course's, the bestiary's, and a small one for studies."""

from __future__ import annotations

from typing import Any

from diffusers import UNet2DConditionModel

# Attention to the caption's tokens at half size, and to its pooled state everywhere. The number of heads is what
# diffusers reads `attention_head_dim` as here.
_BESTIARY: dict[str, Any] = {
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "attention_head_dim": 4,
    "class_embed_type": "projection",
}
UNETS: dict[str, dict[str, Any]] = {
    "bestiary": _BESTIARY | {"block_out_channels": (72, 120)},
    "small": _BESTIARY | {"block_out_channels": (40, 56)},
    "maplestory": {
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"),
        "block_out_channels": (256, 384, 512, 768),
        "layers_per_block": 2,
        "attention_head_dim": 8,
    },
}


def build(name: str, latent_channels: int, size: int, text_width: int) -> UNet2DConditionModel:
    """One of `UNETS` for latents (latent_channels, size, size) and captions of `text_width`: 3.9, 1.0 and 225 million
    parameters for the text encoders that they are made for."""
    config = dict(UNETS[name])
    if "class_embed_type" in config:
        config["projection_class_embeddings_input_dim"] = text_width
    return UNet2DConditionModel(
        sample_size=size,
        in_channels=latent_channels,
        out_channels=latent_channels,
        cross_attention_dim=text_width,
        **config,
    )
