"""python -m baselines.monster.train: autoencoder, text encoder and UNet in order, then one folder that draws.

Each stage is a command of its own and can be interrupted: what is finished is kept, what is not goes on where it was.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from baselines.monster import train_autoencoder, train_text_encoder, train_unet
from baselines.processes import in_the_first
from baselines.training.options import accelerator_of, add_data, add_model, command_parser, hardware_arguments
from submission import atomic, commands
from submission.errors import run

SAMPLING = {"steps": 20, "guidance_scale": 2.5, "batch_size": 32}


def assemble(runs: Path, out: Path, unet_weights: Path, sampling: dict[str, float]) -> None:
    """The three runs' results as one diffusers folder in half precision, with the sampling defaults."""
    out.mkdir(parents=True, exist_ok=True)
    shutil.copytree(runs / "autoencoder" / "model", out / "vae", dirs_exist_ok=True)
    for part in ("text_encoder", "tokenizer"):
        shutil.copytree(runs / "text_encoder" / "model" / part, out / part, dirs_exist_ok=True)
    latent_channels = json.loads((out / "vae" / "config.json").read_text())["latent_channels"]
    text_width = json.loads((out / "text_encoder" / "config.json").read_text())["hidden_size"]
    unet = train_unet.build(latent_channels, train_unet.LATENT_SIZE, text_width)
    unet.load_state_dict(load_file(unet_weights))
    unet.to(torch.float16).save_pretrained(out / "unet")
    atomic.write_json(out / "sampling.json", sampling)


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(__doc__)
    add_data(parser)
    add_model(parser, "runs", "runs/monster")
    args = parser.parse_args(argv)
    common = ["--data", str(args.data), *hardware_arguments(args)]
    train_autoencoder.main([*common, "--out", str(args.runs / "autoencoder")])
    train_text_encoder.main([*common, "--out", str(args.runs / "text_encoder")])
    parts = [
        "--autoencoder",
        str(args.runs / "autoencoder" / "model"),
        "--text-encoder",
        str(args.runs / "text_encoder" / "model"),
    ]
    train_unet.main([*common, *parts, "--out", str(args.runs / "unet")])

    def finish() -> None:
        assemble(args.runs, args.out, args.runs / "unet" / "weights.safetensors", SAMPLING)
        # The same model at a tenth of its training: its scores are the thresholds of the bestiary's tier "baseline".
        early = args.out.with_name(f"{args.out.name}-at-one-tenth")
        assemble(args.runs, early, args.runs / "unet" / "weights-0.1.safetensors", SAMPLING)
        print(f"{args.out}: draw with {commands.drawing('monster', args.out)}")

    in_the_first(accelerator_of(args), finish)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
