"""python -m baselines.clip_guided.train: the diffusion and the three guides in order, then one folder that draws.

Each training is a command of its own and can be interrupted: what is finished is kept, the rest goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from baselines.clip_guided import train_diffusion, train_guide
from baselines.clip_guided.guide import GuideConfig
from baselines.clip_guided.train_guide import GUIDES
from baselines.clip_guided.unet import PixelUNet, build
from submission import atomic
from submission.errors import run

# The scales are where to begin, not tuned: a new model's are chosen on validation prompts with
# python -m baselines.clip_guided.compare --competition data/bestiary/validation --guidance-scale 1 4 16 64
SAMPLING = {
    "steps": 45,
    "batch_size": 32,
    "guide": "noised",
    "guidance_form": "normalised",
    "guidance_scale": {
        "normalised": {"pretrained": 1.0, "finetuned": 1.0, "noised": 1.0},
        "raw": {"pretrained": 0.1, "finetuned": 0.1, "noised": 0.1},
    },
}


def assemble(runs: Path, out: Path, sampling: dict[str, object]) -> None:
    """The four runs' results as one folder in half precision, with the sampling defaults."""
    size = json.loads((runs / "diffusion" / "options.json").read_text(encoding="utf-8"))["size"]
    model = PixelUNet(build(size))
    model.load_state_dict(load_file(runs / "diffusion" / "weights.safetensors"))
    model.unet.half().save_pretrained(out / "unet")
    (out / "guides").mkdir(parents=True, exist_ok=True)
    for guide in GUIDES:
        config = json.loads((runs / guide / "config.json").read_text(encoding="utf-8"))
        GuideConfig.from_json(config)
        atomic.write_text(out / "guides" / f"{guide}.json", json.dumps(config) + "\n")
        weights = load_file(runs / guide / "weights.safetensors")
        halves = {name: value.to(torch.float16) for name, value in weights.items()}
        atomic.write_bytes(out / "guides" / f"{guide}.safetensors", save(halves))
    atomic.write_json(out / "sampling.json", sampling)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    train_diffusion.add_data_arguments(parser)
    parser.add_argument("--runs", type=Path, default=Path("runs/clip-guided"), help="where the runs' folders go")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/clip-guided/model"), help="the finished model, for --weights"
    )
    parser.add_argument("--images", type=int, default=150_000, help="training images of the diffusion in all")
    parser.add_argument("--epochs", type=int, default=10, help="of each guide, at most")
    args = parser.parse_args(argv)
    common = ["--data", str(args.data), "--size", str(args.size)]
    common += ["--labels", str(args.labels)] if args.labels else []
    train_diffusion.main([*common, "--out", str(args.runs / "diffusion"), "--images", str(args.images)])
    for guide in GUIDES:
        train_guide.main([guide, *common, "--runs", str(args.runs), "--epochs", str(args.epochs)])
    assemble(args.runs, args.out, SAMPLING)
    print(f"draw with it: python -m baselines clip-guided --weights {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
