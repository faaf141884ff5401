"""OpenAI's reference tensors at tiny sizes, and a folder of small random weights that draws."""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save_file
from torch import Tensor

from baselines.glide.config import (
    ClipTowerConfig,
    GlideConfig,
    NoisedClipConfig,
    Sampling,
    UNetConfig,
    VocabularyConfig,
    write_config,
)
from baselines.glide.noised_clip import NoisedClip
from baselines.glide.unet import UNet
from baselines.glide.weights import load_into

DATA = Path(__file__).parent / "data"


def read(name: str) -> Any:
    """One of the data's files, by its name without the endings: a dict of tensors, or what the JSON holds."""
    tensors = DATA / f"{name}.safetensors.xz"
    if tensors.exists():
        return load(lzma.decompress(tensors.read_bytes()))
    return json.loads(lzma.decompress((DATA / f"{name}.json.xz").read_bytes()))


def tiny_unet_config(name: str) -> UNetConfig:
    options = read("options")["tiny"][name]
    return UNetConfig(
        image_size=16,
        model_channels=options["model_channels"],
        num_res_blocks=options["num_res_blocks"],
        channel_mult=tuple(options["channel_mult"]),
        attention_resolutions=tuple(16 // factor for factor in options["attention_resolutions"]),
        num_head_channels=options["num_head_channels"],
        text_length=options["text_ctx"],
        text_width=options["xf_width"],
        text_layers=options["xf_layers"],
        text_heads=options["xf_heads"],
        vocab_size=read("options")["tiny"]["vocab"],
        noise_schedule="linear" if "upsample" in name else "squaredcos_cap_v2",
        inpaint="inpaint" in name,
        super_res="upsample" in name,
    )


def tiny_clip_config() -> NoisedClipConfig:
    image, text = (read("options")["tiny"][name] for name in ("clip_image", "clip_text"))
    return NoisedClipConfig(
        image=ClipTowerConfig(image["n_xf_blocks"], image["n_head"], image["n_head_state"]),
        text=ClipTowerConfig(text["n_xf_blocks"], text["n_head"], text["n_head_state"]),
        image_size=image["image_size"],
        patch_size=image["patch_size"],
        embed_dim=image["n_embd"],
        vocab_size=text["n_bpe_vocab"],
        text_length=text["max_text_len"],
    )


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As the reference was run: sums in another order differ in their last bits, and sampling multiplies that."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def golden() -> Callable[[str], Any]:
    return read


@pytest.fixture(scope="session")
def reference_unet() -> Callable[[str], UNet]:
    """`reference_unet("base")` or `("upsample")`: our UNet with the reference's weights."""
    made: dict[str, UNet] = {}

    def make(name: str) -> UNet:
        if name not in made:
            with torch.device("meta"):
                model = UNet(tiny_unet_config(name))
            made[name] = load_into(model, read(f"{name}.state"), DATA / name).float()
        return made[name]

    return make


@pytest.fixture(scope="session")
def reference_clip() -> NoisedClip:
    """Our noised CLIP with the reference's weights."""
    with torch.device("meta"):
        model = NoisedClip(tiny_clip_config())
    load_into(model.image_encoder, read("clip_image.state"), DATA / "clip_image")
    load_into(model.text_encoder, read("clip_text.state"), DATA / "clip_text")
    return model.float().eval()


@pytest.fixture
def write_vocabulary() -> Callable[[Path], None]:
    """Writes the vocabulary of 277 tokens into a folder, as vocab.json and merges.txt."""

    def write(folder: Path) -> None:
        tiny = read("bpe_tiny")
        (folder / "vocab.json").write_text(json.dumps(tiny["vocab"]), encoding="utf-8")
        (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *tiny["merges"], ""]), encoding="utf-8")

    return write


def small_config() -> GlideConfig:
    base = replace(tiny_unet_config("base"), vocab_size=277, inpaint=True)
    return GlideConfig(
        models={
            "base": base,
            "upsample": replace(base, image_size=32, noise_schedule="linear", super_res=True),
        },
        clip=replace(tiny_clip_config(), vocab_size=65536),
        clip_text=VocabularyConfig("clip"),
        sampling=Sampling(steps=4, upsample_respacing="3", batch_size=2),
    )


def random_state(model: torch.nn.Module, seed: int) -> dict[str, Tensor]:
    """Every tensor random, also those that training starts from zero: small around 0, and around 1 for norms."""
    generator = torch.Generator().manual_seed(seed)
    return {
        key: torch.randn(value.shape, generator=generator) * 0.05 + (value.ndim == 1 and key.endswith("weight"))
        for key, value in model.state_dict().items()
    }


@pytest.fixture
def weights(tmp_path: Path, write_vocabulary: Callable[[Path], None]) -> Path:
    """A folder of small random weights: 16-pixel base model, that inpaints too, upsampler to 32, noised CLIP."""
    folder = tmp_path / "weights"
    folder.mkdir()
    config = small_config()
    write_config(folder / "glide.json", config)
    write_vocabulary(folder)
    with torch.device("meta"):
        clip = NoisedClip(config.clip)
        models = {name: UNet(one) for name, one in config.models.items()}
        models |= {"clip_image_enc": clip.image_encoder, "clip_text_enc": clip.text_encoder}
    for seed, (name, model) in enumerate(models.items()):
        save_file(random_state(model, seed), folder / f"{name}.safetensors")
    return folder
