"""Random frozen parts in their official layouts, and a training set in the course's: what the course's preset needs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from transformers import CLIPConfig, CLIPModel

from baselines.monster.tokenizer import fitted

NARROW = (8, 8, 8, 8)
STABLE = (128, 256, 512, 512)  # of Stable Diffusion's autoencoder
COLOURS = {"red": (210, 30, 30), "blue": (30, 30, 210), "green": (30, 160, 30), "grey": (128, 128, 128)}


def write_autoencoder(folder: Path, widths: tuple[int, ...] = NARROW) -> Path:
    """As CompVis/stable-diffusion-v1-4 has it, in `vae/`: four channels, an eighth of the size."""
    torch.manual_seed(1)
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=widths,
        layers_per_block=2 if widths == STABLE else 1,
        latent_channels=4,
        norm_num_groups=min(32, widths[0]),
        scaling_factor=0.18215,
    ).save_pretrained(folder / "vae")
    return folder


def write_clip(folder: Path, width: int = 16, layers: int = 1) -> Path:
    """As openai/clip-vit-base-patch32 has it: text and image together, a .bin, the tokenizer beside it."""
    torch.manual_seed(2)
    tokenizer = fitted([f"{colour} slime. The monster is attacking." for colour in COLOURS], 77)
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    shape = {"hidden_size": width, "intermediate_size": 4 * width, "num_attention_heads": max(2, width // 64)}
    text = {**shape, **ends, "pad_token_id": tokenizer.pad_token_id, "num_hidden_layers": layers}
    text |= {"vocab_size": len(tokenizer), "max_position_embeddings": 77}
    vision = {**shape, "num_hidden_layers": 1, "image_size": 32, "patch_size": 16}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=width))
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    tokenizer.save_pretrained(folder)
    return folder


def write_course(folder: Path, pictures: int, size: int) -> Path:
    """Monsters of one colour on white, two frames each with a gap, in the course's layout."""
    (folder / "train").mkdir(parents=True)
    info = {}
    rng = np.random.default_rng(0)
    for monster in range((pictures + 1) // 2):
        colour = list(COLOURS)[monster % len(COLOURS)]
        descriptions = [f"{colour} slime.", f"a slime in {colour}.", f"{colour} blob."]
        info[f"{monster}_attack1"] = {
            "original_name": "x", "given_description": descriptions, "action_description": "The monster is attacking.",
            "num_frames": 3,
        }  # fmt: skip
        for frame in (0, 2)[: pictures - 2 * monster]:
            pixels = np.full((size, size, 3), 255, np.uint8)
            x, y = rng.integers(0, size // 2, 2)
            pixels[y : y + size // 2, x : x + size // 2] = COLOURS[colour]
            Image.fromarray(pixels).save(folder / "train" / f"{monster}_attack1_{frame}.png")
    (folder / "train_info.json").write_text(json.dumps(info), encoding="utf-8")
    return folder


def write_competition(folder: Path, size: int) -> Path:
    """A competition of these pictures with two prompts."""
    folder.mkdir(parents=True, exist_ok=True)
    prompts = {
        f"{number}_main": {"image_name": f"{number}.png", "text_prompt": f"{colour} slime."}
        for number, colour in enumerate(list(COLOURS)[:2])
    }
    (folder / "test.json").write_text(json.dumps(prompts), encoding="utf-8")
    (folder / "competition.toml").write_text(
        f'[competition]\nname = "course"\nprompts = "test.json"\nimage_size = {size}\n', encoding="utf-8"
    )
    return folder
