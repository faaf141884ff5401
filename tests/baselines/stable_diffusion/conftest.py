"""A tiny folder of random weights in the shape of CompVis/stable-diffusion-v1-4, as the hub stores it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from small_text import small_text

# As in the repository: written by diffusers 0.2.2, with class names of its time.
MODEL_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.2.2",
    "feature_extractor": ["transformers", "CLIPFeatureExtractor"],
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
SCHEDULER = {
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.7.0.dev0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
    "clip_sample": False,
}
OLD_ATTENTION = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


@pytest.fixture
def v1_4(tmp_path: Path) -> Callable[..., Path]:
    """`v1_4(layout)` writes the folder, with the text encoder's keys as transformers 4 or 5 names them."""

    def make(layout: int = 4, name: str = "stable-diffusion-v1-4") -> Path:
        folder = tmp_path / name
        write_tokenizer(folder / "tokenizer")
        write_networks(folder)
        file = folder / "text_encoder" / "model.safetensors"
        keys = {key.removeprefix("text_model."): tensor for key, tensor in load_file(file).items()}
        if layout == 4:
            keys = {f"text_model.{key}": tensor for key, tensor in keys.items()}
            keys["text_model.embeddings.position_ids"] = torch.arange(12)[None]
        save_file(keys, file, metadata={"format": "pt"})
        for part, config in (
            ("safety_checker", {"architectures": ["StableDiffusionSafetyChecker"], "model_type": "clip"}),
            ("feature_extractor", {"feature_extractor_type": "CLIPFeatureExtractor", "size": 224}),
        ):
            (folder / part).mkdir()
            file = "config.json" if part == "safety_checker" else "preprocessor_config.json"
            (folder / part / file).write_text(json.dumps(config))
        (folder / "safety_checker" / "pytorch_model.bin").write_bytes(b"a pickle that nobody may open")
        (folder / "scheduler").mkdir()
        (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER))
        (folder / "model_index.json").write_text(json.dumps(MODEL_INDEX))
        return folder

    return make


def write_tokenizer(folder: Path) -> None:
    """vocab.json and merges.txt: letters only."""
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps(small_text(12)[0].get_vocab()))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    special["pad_token"] = "<|endoftext|>"
    config = {"model_max_length": 12, "tokenizer_class": "CLIPTokenizer", "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(config | special))
    (folder / "special_tokens_map.json").write_text(json.dumps(special))


def write_networks(folder: Path) -> None:
    """vae, text_encoder and unet; the autoencoder's attention under its names of before diffusers 0.15."""
    small_text(12, layers=2)[1].save_pretrained(folder / "text_encoder")
    autoencoder = AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=16,
        scaling_factor=0.18215,
    )
    autoencoder.save_pretrained(folder / "vae")
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    old = {}
    for key, tensor in load_file(file).items():
        for new_name, old_name in OLD_ATTENTION.items():
            key = key.replace(f"attentions.0.{new_name}.", f"attentions.0.{old_name}.")
        old[key] = tensor
    assert any(".query." in key for key in old)
    save_file(old, file, metadata={"format": "pt"})
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=16,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=2,
    )
    unet.save_pretrained(folder / "unet")
