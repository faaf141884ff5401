"""Every training of the project on six pictures, two steps each: what tests of devices and processes run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from baselines.training import trainer
from baselines.training.options import TrainingOptions

COLOURS = {"red": (210, 30, 30), "blue": (30, 30, 210), "green": (30, 160, 30)}
BODIES = ("slime", "bat")
BATCH = 2
MODULES = (
    "monster.train_autoencoder", "monster.train_text_encoder", "monster.train_unet", "stable_diffusion.train",
    "vq_diffusion.train_vqmodel", "vq_diffusion.train_transformer", "glide.train_text_encoder", "glide.train_base",
    "glide.train_upsample", "glide.train_noised_clip", "clip_guided.train_diffusion", "clip_guided.train_guide",
)  # fmt: skip
# Narrower networks of the same build: where a network's class is named, and what is other than there.
NARROW = {
    "monster.train_autoencoder.AutoencoderKL": {"block_out_channels": (8, 8, 8)},
    "monster.unets.UNet2DConditionModel": {"block_out_channels": (16, 16)},
    "stable_diffusion.train.UNet2DConditionModel": {"block_out_channels": (16, 16)},
    "vq_diffusion.train_vqmodel.VQModel": {"block_out_channels": (8, 8, 8)},
    "vq_diffusion.train_transformer.Transformer2DModel": {"num_layers": 1},
    "clip_guided.unet.UNet2DModel": {"block_out_channels": (32, 32)},
}
MODELS = ("monster", "stable", "vq", "glide", "clip-guided", "backbones")


def write_data(folder: Path) -> Path:
    """A training set of six monsters with a picture each, in flat colours, with captions and attributes."""
    (folder / "train").mkdir(parents=True)
    info, attributes = {}, {}
    for number, (colour, body) in enumerate((colour, body) for colour in COLOURS for body in BODIES):
        key = f"{number}_main"
        captions = [f"{colour.title()} {body}.", f"A {body} in {colour}.", f"{colour.title()} {body} with horns."]
        info[key] = {
            "original_name": key, "given_description": captions, "action_description": "", "num_frames": 1,
        }  # fmt: skip
        attributes[key] = {
            "body": body, "colours": [colour], "item": "none", "action": "none", "features": ["horns"] * (number % 2),
        }  # fmt: skip
        pixels = np.full((64, 64, 3), 255, np.uint8)
        pixels[16:48, 8 : 56 if body == "bat" else 32] = COLOURS[colour]
        Image.fromarray(pixels).save(folder / "train" / f"{key}_0.png")
    (folder / "train_info.json").write_text(json.dumps(info), encoding="utf-8")
    (folder / "train_attributes.json").write_text(json.dumps(attributes), encoding="utf-8")
    return folder


def shorten(set_attribute: Callable[[Any, str, Any], None], *, previews: bool = False) -> None:
    """Narrower networks and less around each training; with previews, one at the end, of two small steps.

    Args:
        set_attribute: as `monkeypatch.setattr`.
    """
    if previews:
        set_attribute(trainer, "train", _with_a_preview(trainer.train))
    for name in MODULES:
        module = import_module(f"baselines.{name}")
        if previews and hasattr(module, "train"):
            set_attribute(module, "train", trainer.train)
        for constant in ("PREVIEW_PROMPTS", "PREVIEW_IMAGES", "PREVIEWS", "PREVIEW_STEPS"):
            if hasattr(module, constant):
                set_attribute(module, constant, 2)
        if hasattr(module, "sample"):
            set_attribute(module, "sample", _in_two_steps(module.sample))
    for place, other in NARROW.items():
        name, _, network = place.rpartition(".")
        module = import_module(f"baselines.{name}")
        set_attribute(module, network, _with(getattr(module, network), other))
    for name in ("train_base", "train_upsample"):
        module = import_module(f"baselines.glide.{name}")
        set_attribute(module, "config", _narrow(module.config))
    set_attribute(import_module("baselines.training.words"), "RARE", 1)
    guide = import_module("baselines.clip_guided.train_guide")
    set_attribute(guide, "VALIDATION_BATCHES", 1)
    base = import_module("baselines.glide.train_base")
    spaced = base.diffusion_of
    set_attribute(base, "diffusion_of", lambda config, steps=None: spaced(config, "2") if steps else spaced(config))


def _with(network: Callable, other: dict[str, Any]) -> Callable:
    return lambda **options: network(**{**options, **other})


def _narrow(config: Callable) -> Callable:
    other = {"channel_mult": (1, 1), "num_head_channels": 8, "text_width": 32, "text_layers": 1, "text_heads": 2}
    return lambda vocab_size: replace(config(vocab_size), **other)


def _with_a_preview(train: Callable) -> Callable:
    def run(model: Any, loss: Any, examples: int, schedule: Any, *rest: Any, **options: Any) -> Path:
        asked = replace(schedule, preview_images=schedule.images)
        return train(model, loss, examples, asked, *rest, **options)

    return run


def _in_two_steps(sample: Callable) -> Callable:
    return lambda *args, **options: sample(*args, **{**options, "steps": 2})


def run(
    model: str,
    data: Path,
    runs: Path,
    set_attribute: Callable[[Any, str, Any], None],
    *,
    processes: int = 1,
    **hardware: str,
) -> Path:
    """Two steps of two pictures a process of all trainings of one of `MODELS`; the folder of what they made.

    Args:
        hardware: `device` and `precision`.
    """
    out = runs / "model"
    if model == "backbones":
        embedded = import_module("scorer.networks.embedded")
        out.mkdir(parents=True, exist_ok=True)
        set_attribute(embedded, "WEIGHTS", out)
        set_attribute(embedded, "LABELS_FILE", out / "classifier.json")
        backbones = import_module("experiments.backbones")
        for part, schedule in list(backbones.PRESETS.items()):
            set_attribute(backbones, "PRESETS", {**backbones.PRESETS, part: replace(schedule, batch_size=BATCH)})
            options = backbones.BackboneOptions(
                part=part, data=data, out=runs, images=2 * BATCH * processes, **hardware
            )
            backbones.train_backbone(options)
        return out
    folder = {"stable": "stable_diffusion", "vq": "vq_diffusion", "clip-guided": "clip_guided"}.get(model, model)
    module = import_module(f"baselines.{folder}.train")
    preset = module.PRESETS["bestiary"]
    stages = {
        name: replace(stage, **_short(stage, processes))
        for name, stage in vars(preset).items()
        if isinstance(stage, TrainingOptions)
    }
    places = {"out": runs, "model": out} if model == "stable" else {"runs": runs, "out": out}
    size = {"size": 16} if model == "clip-guided" else {}
    options = replace(preset, data=data, **stages, **places, **size, **hardware)
    trained = getattr(module, f"train_{model.replace('-', '_')}")
    return trained(replace(options, **_short(options, processes)))


def _short(options: TrainingOptions, processes: int) -> dict[str, int]:
    images = 2 * BATCH * processes
    short = {"images": images, "decoder_images": images, "batch_size": BATCH, "epochs": 1, "epoch_images": images}
    return {name: value for name, value in short.items() if hasattr(options, name)}
