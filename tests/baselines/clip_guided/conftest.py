"""Small random networks that draw, and labelled pictures as a folder of folders with a line for each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import UNet2DModel
from PIL import Image
from safetensors.torch import save_file

from baselines.clip_guided.guide import Guide, GuideConfig
from baselines.clip_guided.unet import build

WORDS = ("a", "red", "blue", "slime", "number")
SIZE = 16
LABELS = ("a red sedan", "a blue sedan", "a red truck", "a blue truck")
CARS = 12


def tiny_guide(*, noised: bool = False, seed: int = 0) -> Guide:
    torch.manual_seed(seed)
    config = GuideConfig(
        WORDS, SIZE, noised, widths=(8, 16, 16), text_width=16, text_layers=1, text_heads=2, text_length=8, embed_dim=12
    )
    guide = Guide(config).eval().requires_grad_(False)
    for name, value in guide.named_parameters():
        if "time" in name:  # zero at the start, so that nothing would follow from t
            value.normal_(std=0.3)
    return guide


def tiny_unet(seed: int = 0) -> UNet2DModel:
    plain = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    config = {
        **build(SIZE).config,
        **plain,
        "block_out_channels": (8, 8),
        "norm_num_groups": 4,
        "attention_head_dim": 8,
    }
    torch.manual_seed(seed)
    return UNet2DModel.from_config(config).eval()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder with everything that the pipeline reads."""
    folder = tmp_path / "model"
    (folder / "guides").mkdir(parents=True)
    tiny_unet().save_pretrained(folder / "unet")
    names = ("pretrained", "finetuned", "noised", "noised-colours")
    for seed, name in enumerate(names):
        guide = tiny_guide(noised=name.startswith("noised"), seed=seed)
        save_file(guide.state_dict(), folder / "guides" / f"{name}.safetensors")
        (folder / "guides" / f"{name}.json").write_text(json.dumps(guide.config.as_json()))
    scales = {form: dict.fromkeys(names, 40.0) for form in ("normalised", "raw")}
    sampling = {"steps": 6, "batch_size": 2, "fixed_batch": 32}
    sampling |= {"guide": "noised", "guidance_form": "normalised", "guidance_scale": scales}
    scales["normalised"]["noised-colours"] = 20.0
    sampling["together"] = {"noised": ["noised-colours"]}
    (folder / "sampling.json").write_text(json.dumps(sampling))
    return folder


@pytest.fixture
def cars(tmp_path: Path) -> Path:
    """Twelve folders of two pictures each, and `cars.txt` with a bare label a line, in the order of the folders."""
    folder = tmp_path / "cars"
    rng = np.random.default_rng(0)
    for number in range(CARS):
        (folder / f"{number:04d}").mkdir(parents=True)
        red, sedan = number % 2 == 0, number % 4 < 2
        for view in range(2):
            pixels = np.full((20, 20, 3), 255, np.uint8)
            pixels[6 : 12 if sedan else 18, 4:16] = (210, 30, 30) if red else (30, 30, 210)
            noisy = np.clip(pixels + rng.integers(-9, 9, pixels.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / f"{number:04d}" / f"view{view}.png")
    (tmp_path / "cars.txt").write_text("".join(f"{LABELS[number % 4]}\n" for number in range(CARS)))
    return folder


@pytest.fixture
def make_guide() -> Callable[..., Guide]:
    """`make_guide(noised=False, seed=0)`: a small guide with random weights that see time when they are noised."""
    return tiny_guide
