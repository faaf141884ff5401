"""python -m baselines.clip_guided.train: the diffusion and the three guides in order, then one folder that draws.

Each training is a command of its own and can be interrupted: what is finished is kept, the rest goes on where it was.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from baselines.clip_guided import train_diffusion, train_guide
from baselines.clip_guided.guide import GuideConfig
from baselines.clip_guided.train_guide import GUIDES
from baselines.clip_guided.unet import PixelUNet, build
from baselines.processes import in_the_first
from baselines.training.options import accelerator_of, add_model, command_parser
from submission import atomic, commands
from submission.errors import run

# Each guide has the scale with the best CLIP-T of 2 … 128 (raw: of 0.3 … 100, less where FID says so) on 64 prompts:
# python -m experiments.guides --competition data/bestiary/validation --limit 64 --guidance-scale 2 8 32 128
SAMPLING = {
    "steps": 45,
    "batch_size": 32,
    "fixed_batch": 32,
    "guide": "noised",
    "guidance_form": "normalised",
    "guidance_scale": {
        "normalised": {"pretrained": 8.0, "finetuned": 32.0, "noised": 8.0},
        "raw": {"pretrained": 20.0, "finetuned": 20.0, "noised": 3.0},
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
    parser = command_parser(__doc__)
    train_diffusion.add_data_arguments(parser)
    add_model(parser, "runs/clip-guided", "runs/clip-guided/model")
    parser.add_argument("--images", type=int, default=150_000, help="training images of the diffusion in all")
    parser.add_argument("--epochs", type=int, default=10, help="of each guide, at most")
    args = parser.parse_args(argv)
    common = ["--data", str(args.data), "--size", str(args.size), "--device", args.device]
    common += ["--labels", str(args.labels)] if args.labels else []
    # The precision is the diffusion's: guides are trained in float32 alone.
    diffusion = [*common, "--precision", args.precision, "--out", str(args.runs / "diffusion")]
    train_diffusion.main([*diffusion, "--images", str(args.images)])
    for guide in GUIDES:
        train_guide.main([guide, *common, "--runs", str(args.runs), "--epochs", str(args.epochs)])

    def finish() -> None:
        assemble(args.runs, args.out, SAMPLING)
        print(f"draw with it: {commands.drawing('clip-guided', args.out)}")

    in_the_first(accelerator_of(args), finish)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
