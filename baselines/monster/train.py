"""python -m baselines.monster.train: autoencoder, text encoder and UNet in order, then one folder that draws.

Each stage is a command of its own and can be interrupted: what is finished is kept, what is not goes on where it was.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file

from baselines.monster import train_unet as unet
from baselines.monster.train_autoencoder import AutoencoderOptions, train_autoencoder
from baselines.monster.train_text_encoder import TextEncoderOptions, train_text_encoder
from baselines.monster.train_unet import UNetOptions, train_unet
from baselines.processes import in_the_first
from baselines.training.options import ModelOptions, parsed
from submission import atomic, commands
from submission.errors import run

SAMPLING = {"steps": 20, "guidance_scale": 2.5, "batch_size": 32}


@dataclass(frozen=True, kw_only=True)
class MonsterOptions(ModelOptions):
    """The three trainings; data and hardware are the same for all."""

    out: Path = Path("runs/monster")
    autoencoder: AutoencoderOptions = field(default_factory=AutoencoderOptions)
    text_encoder: TextEncoderOptions = field(default_factory=TextEncoderOptions)
    unet: UNetOptions = field(default_factory=UNetOptions)


PRESETS = {"bestiary": MonsterOptions()}


def assemble(runs: Path, out: Path, unet_weights: Path, sampling: dict[str, float]) -> None:
    """The three runs' results as one diffusers folder in half precision, with the sampling defaults."""
    out.mkdir(parents=True, exist_ok=True)
    shutil.copytree(runs / "autoencoder" / "model", out / "vae", dirs_exist_ok=True)
    for part in ("text_encoder", "tokenizer"):
        shutil.copytree(runs / "text_encoder" / "model" / part, out / part, dirs_exist_ok=True)
    latent_channels = json.loads((out / "vae" / "config.json").read_text())["latent_channels"]
    text_width = json.loads((out / "text_encoder" / "config.json").read_text())["hidden_size"]
    model = unet.build(latent_channels, unet.LATENT_SIZE, text_width)
    model.load_state_dict(load_file(unet_weights))
    model.to(torch.float16).save_pretrained(out / "unet")
    atomic.write_json(out / "sampling.json", sampling)


def train_monster(options: MonsterOptions) -> Path:
    """Trains all three parts and returns the finished folder."""
    autoencoder = train_autoencoder(options.for_stage(options.autoencoder, out=options.runs / "autoencoder"))
    text_encoder = train_text_encoder(options.for_stage(options.text_encoder, out=options.runs / "text_encoder"))
    parts = {"autoencoder": autoencoder, "text_encoder": text_encoder}
    weights = train_unet(options.for_stage(options.unet, out=options.runs / "unet", **parts))

    def finish() -> None:
        assemble(options.runs, options.out, weights, SAMPLING)
        # The same model at a tenth of its training: its scores are the thresholds of the bestiary's tier "baseline".
        early = options.out.with_name(f"{options.out.name}-at-one-tenth")
        assemble(options.runs, early, weights.with_name("weights-0.1.safetensors"), SAMPLING)
        print(f"{options.out}: draw with {commands.drawing('monster', options.out)}")

    in_the_first(options.accelerator(), finish)
    return options.out


def main(argv: list[str] | None = None) -> int:
    train_monster(parsed(__doc__, PRESETS, argv))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
