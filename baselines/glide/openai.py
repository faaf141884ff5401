"""What OpenAI released (github.com/openai/glide-text2im): sizes, files, where to get them, names of the tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from torch import Tensor, nn

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

# OpenAI's names of tensors -> ours. The tensors are the same.
_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_ATTENTION = {"norm": "group_norm", "qkv": "to_qkv", "encoder_kv": "add_kv_proj", "proj_out": "to_out"}
_TEXT_LAYER = {
    "ln_1": "norm1",
    "attn.c_qkv": "to_qkv",
    "attn.c_proj": "to_out",
    "ln_2": "norm2",
    "mlp.c_fc": "fc1",
    "mlp.c_proj": "fc2",
}
_CLIP_LAYER = {
    "f_attn.ln": "layer_norm1",
    "f_attn.f_q": "q_proj",
    "f_attn.f_k": "k_proj",
    "f_attn.f_v": "v_proj",
    "f_attn.f_c": "out_proj",
    "f_mlp.ln": "layer_norm2",
    "f_mlp.f_1": "fc1",
    "f_mlp.f_2": "fc2",
}


def unet_modules(config: UNetConfig) -> dict[str, str]:
    """OpenAI's `input_blocks.4.1` -> `down_blocks.0.attentions.3` and so on, for the blocks of a UNet of this shape."""
    levels, attends = len(config.channel_mult), config.attends

    def block(level: str, index: int, attending: bool) -> list[str]:
        return [f"{level}.resnets.{index}"] + [f"{level}.attentions.{index}"] * attending

    # A list for each of OpenAI's blocks, of what it is made of here.
    down, up = [["conv_in"]], list[list[str]]()
    for level in range(levels):
        down += [block(f"down_blocks.{level}", index, attends[level]) for index in range(config.num_res_blocks)]
        up += [block(f"up_blocks.{level}", index, attends[-1 - level]) for index in range(config.num_res_blocks + 1)]
        if level != levels - 1:
            down.append([f"down_blocks.{level}.resampler"])
            up[-1].append(f"up_blocks.{level}.resampler")
    blocks = {f"input_blocks.{number}": parts for number, parts in enumerate(down)}
    blocks["middle_block"] = ["mid_block.resnets.0", "mid_block.attentions.0", "mid_block.resnets.1"]
    blocks |= {f"output_blocks.{number}": parts for number, parts in enumerate(up)}
    names = {f"{theirs}.{place}": ours for theirs, parts in blocks.items() for place, ours in enumerate(parts)}
    return names | {"out.0": "conv_norm_out", "out.2": "conv_out"}


def unet_keys(config: UNetConfig) -> dict[str, str]:
    """OpenAI's state-dict keys -> ours. Some blocks have no `conv_shortcut`: those keys are in no state dict."""
    layers = {
        **{f"time_embed.{index}": f"time_embedding.{index}" for index in (0, 2)},
        "token_embedding": "text_encoder.token_embedding",
        "final_ln": "text_encoder.final_layer_norm",
        "transformer_proj": "text_encoder.pooled_projection",
    }
    for theirs, ours in unet_modules(config).items():
        leaves = _ATTENTION if ".attentions." in ours else _RESNET if "conv_" not in ours else {}
        layers |= {f"{theirs}.{leaf}": f"{ours}.{own}" for leaf, own in leaves.items()} or {theirs: ours}
    for index in range(config.text_layers):
        for leaf, own in _TEXT_LAYER.items():
            layers[f"transformer.resblocks.{index}.{leaf}"] = f"text_encoder.layers.{index}.{own}"
    keys = {f"{theirs}.{kind}": f"{ours}.{kind}" for theirs, ours in layers.items() for kind in ("weight", "bias")}
    keys["positional_embedding"] = "text_encoder.position_embedding"
    keys["padding_embedding"] = "text_encoder.padding_embedding"
    return keys


def clip_keys(tower: ClipTowerConfig) -> dict[str, str]:
    """OpenAI's keys -> ours for a tower of the noised CLIP. Some are the other tower's: those are in no state dict."""
    layers = {"blocks.output.ln": "final_layer_norm", "blocks.output.f": "projection"}
    for index in range(tower.num_layers):
        layers |= {f"blocks.block_{index}.{leaf}": f"layers.{index}.{own}" for leaf, own in _CLIP_LAYER.items()}
    keys = {}
    for theirs, ours in layers.items():
        keys[f"{theirs}.{'g' if theirs.endswith('.ln') else 'w'}"] = f"{ours}.weight"
        keys[f"{theirs}.b"] = f"{ours}.bias"  # where it has one
    return keys | {
        "blocks.input.w_pos": "position_embedding",
        "blocks.input.w_t": "time_embedding.weight",
        "blocks.input.patch_proj": "patch_embedding.weight",
        "blocks.input.ln.g": "pre_layer_norm.weight",
        "blocks.input.ln.b": "pre_layer_norm.bias",
        "blocks.input.w_voc": "token_embedding.weight",
    }


def rename(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """A hook before `load_state_dict`: gives the tensors that have OpenAI's names the names of `module.openai_keys`."""
    for theirs, ours in cast("dict[str, str]", module.openai_keys).items():
        if prefix + theirs in state:
            state[prefix + ours] = state.pop(prefix + theirs)
