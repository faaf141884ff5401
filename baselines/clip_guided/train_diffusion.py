"""python -m baselines.clip_guided.train_diffusion: the unconditional pixel diffusion, on any labelled pictures.

Squared error of the velocity on the sigmoid schedule; an exponential moving average of the weights. No label is read:
what is drawn is decided by the guide, at sampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional

from baselines.clip_guided import data
from baselines.clip_guided.diffusion import diffusion
from baselines.clip_guided.unet import PixelUNet, build
from baselines.diffusion.noise import randn, seeded_generators
from baselines.diffusion.process import Diffusion
from baselines.diffusion.samplers import ancestral, with_posterior_variance
from baselines.pixels import save_grid, to_pixels
from baselines.training.batches import Examples, to_device
from baselines.training.losses import LossAndLog, stratified_timesteps
from baselines.training.options import RunOptions, TrainingOptions, command, option
from baselines.training.training import Training
from submission import paths
from submission.errors import UsageError, run

PREVIEWS, PREVIEW_STEPS = 32, 40


@dataclass(frozen=True, kw_only=True)
class PictureOptions(TrainingOptions):
    """What pictures to train on: the same words in every training of this model."""

    data: Path = option(lambda: paths.data_home() / "bestiary", "a training set, or a folder of labelled ones")
    labels: Path | None = option(None, "a line for each folder or picture (default: labels.txt in --data)")
    size: int = option(32, "of the pictures, in pixels")


@dataclass(frozen=True, kw_only=True)
class DiffusionOptions(RunOptions, PictureOptions):
    """The diffusion's training."""

    out: Path = Path("runs/clip-guided/diffusion")
    images: int = 4_100_000
    batch_size: int = 256
    accumulation: int = option(1, "batches added up for one step of the optimizer")


@dataclass(frozen=True)
class VelocityLoss:
    """Of a `PixelUNet`: squared error of the velocity."""

    images: Examples
    process: Diffusion
    accelerator: Accelerator

    def __call__(self, model: nn.Module, indices: Tensor, generator: torch.Generator, done: float) -> LossAndLog:
        x0 = self.images[indices].float() / 127.5 - 1
        t = to_device(stratified_timesteps(len(indices), len(self.process), generator), x0.device)
        noise = to_device(torch.randn(x0.shape, generator=generator), x0.device)
        with self.accelerator.autocast():
            predicted = model(self.process.q_sample(x0, t, noise), t)
        return functional.mse_loss(predicted.float(), self.process.velocity(x0, t, noise)), {}


def train_diffusion(options: DiffusionOptions) -> Path:
    """Trains the diffusion and returns the path of its averaged weights. Raises UsageError for an odd size."""
    if options.size < 8 or options.size % 4:
        raise UsageError(f"--size {options.size}: must be a multiple of 4 of at least 8")
    pictures = data.read(options.data, options.size, options.labels)
    training = Training(options, ema_decay=0.9995, preview_images=500_000, seed=31)
    accelerator, device = training.accelerator, training.device

    def preview(model: nn.Module, path: Path) -> None:
        noise = partial(randn, seeded_generators(range(PREVIEWS)), (3, options.size, options.size), device)
        shown = diffusion(PREVIEW_STEPS)
        with accelerator.autocast():
            predict = with_posterior_variance(shown, lambda x, t: model(x, t).float())
            *_, last = ancestral(shown, predict, noise(), noise)
        save_grid(to_pixels(last.sample), path)

    model, kept = PixelUNet(build(options.size)), {"size": options.size, "pictures": pictures.kept["pictures"]}
    loss = VelocityLoss(Examples(pictures.images, device), diffusion(), accelerator)
    return training.train_and_print(model, loss, len(pictures.images), preview, **kept)


main = command(train_diffusion, __doc__, DiffusionOptions())

if __name__ == "__main__":
    raise SystemExit(run(main))
