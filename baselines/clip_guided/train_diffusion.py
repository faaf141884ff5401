"""python -m baselines.clip_guided.train_diffusion: the unconditional pixel diffusion, on any labelled pictures.

Squared error of the velocity on the sigmoid schedule; an exponential moving average of the weights. No label is read:
what is drawn is decided by the guide, at sampling.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.clip_guided import data
from baselines.clip_guided.diffusion import diffusion
from baselines.clip_guided.unet import PixelUNet, build
from baselines.diffusion.noise import randn, seeded_generators
from baselines.diffusion.samplers import ancestral, with_posterior_variance
from baselines.pixels import save_grid, to_pixels
from baselines.training.losses import stratified_timesteps
from baselines.training.options import accelerator_of, add_run, command_parser
from baselines.training.schedule import Schedule
from baselines.training.trainer import train
from submission import paths
from submission.errors import UsageError, run

PREVIEWS, PREVIEW_STEPS = 32, 40


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(__doc__)
    add_data_arguments(parser)
    add_run(parser, "runs/clip-guided/diffusion", images=180_000, batch_size=32, learning_rate=1e-3)
    parser.add_argument("--accumulation", type=int, default=1, help="batches added up for one step of the optimizer")
    args = parser.parse_args(argv)
    if args.size < 8 or args.size % 4:
        raise UsageError(f"--size {args.size}: must be a multiple of 4 of at least 8")
    pictures = data.read(args.data, args.size, args.labels)
    accelerator = accelerator_of(args)
    device = accelerator.device
    process = diffusion()

    def loss(
        model: nn.Module, indices: Tensor, generator: torch.Generator, done: float
    ) -> tuple[Tensor, dict[str, float]]:
        x0 = pictures.images[indices].to(device).float() / 127.5 - 1
        t = stratified_timesteps(len(indices), len(process), generator).to(device)
        noise = torch.randn(x0.shape, generator=generator).to(device)
        with accelerator.autocast():
            predicted = model(process.q_sample(x0, t, noise), t)
        return functional.mse_loss(predicted.float(), process.velocity(x0, t, noise)), {}

    def preview(model: nn.Module, path: Path) -> None:
        noise = partial(randn, seeded_generators(range(PREVIEWS)), (3, args.size, args.size), device)
        shown = diffusion(PREVIEW_STEPS)
        with accelerator.autocast():
            predict = with_posterior_variance(shown, lambda x, t: model(x, t).float())
            *_, last = ancestral(shown, predict, noise(), noise)
        save_grid(to_pixels(last.sample), path)

    schedule = Schedule(
        args.images,
        args.batch_size,
        args.accumulation,
        args.learning_rate,
        ema_decay=0.998,
        preview_images=20_000,
        seed=31,
    )
    options = {"size": args.size, "pictures": len(pictures.images)}
    model = PixelUNet(build(args.size))
    accelerator.print(
        train(
            model, loss, len(pictures.images), schedule, args.out,
            accelerator=accelerator, preview=preview, options=options,
        )
    )  # fmt: skip
    return 0


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """What pictures to train on: the same words in every training of this model."""
    parser.add_argument(
        "--data", type=Path, default=paths.data_home() / "bestiary", help="a training set, or a folder of labelled ones"
    )
    parser.add_argument("--labels", type=Path, help="a line for each folder or picture (default: labels.txt in --data)")
    parser.add_argument("--size", type=int, default=32, help="of the pictures, in pixels")


if __name__ == "__main__":
    sys.exit(run(main))
