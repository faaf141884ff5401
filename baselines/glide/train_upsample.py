"""python -m baselines.glide.train_upsample: the upsampler, from 32 to 64 pixels.

It learns from small versions of the training images. Half of them are blurred and noised a little, so that it learns
to mend the base model's faults (GLIDE, arXiv 2112.10741, section 4, after Saharia et al., arXiv 2104.07636).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.diffusion.noise import seeded_generators
from baselines.glide import training_set
from baselines.glide.config import UNetConfig
from baselines.glide.losses import image_loss
from baselines.glide.pipeline import diffusion_of, draw, rounded
from baselines.glide.training_set import NoisedPictures, TrainingSet
from baselines.glide.unet import UNet
from baselines.training.batches import to_device
from baselines.training.losses import LossAndLog, stratified_timesteps
from baselines.training.options import RunOptions, command
from baselines.training.training import Training
from submission.errors import run
from submission.sheet import spread

PREVIEW_IMAGES, PREVIEW_SPACING = 8, "1,1,1,1"  # the first timestep of each quarter
MAX_BLUR, MAX_NOISE = 0.6, 0.25  # standard deviations: pixels of the small image; its values in -1 … 1


@dataclass(frozen=True, kw_only=True)
class UpsampleOptions(RunOptions):
    """The upsampler's training."""

    out: Path = Path("runs/glide-upsample")
    images: int = 10_000
    batch_size: int = 8


def config(vocab_size: int) -> UNetConfig:
    """0.4 million parameters, 0.6 GFLOP a forward pass. It attends in the middle only: it hardly needs the prompt."""
    return UNetConfig(
        image_size=64,
        model_channels=16,
        num_res_blocks=1,
        channel_mult=(1, 2, 2),
        attention_resolutions=(),
        num_head_channels=32,
        text_length=training_set.TEXT_LENGTH,
        text_width=32,
        text_layers=1,
        text_heads=2,
        vocab_size=vocab_size,
        noise_schedule="linear",
        super_res=True,
        dropout=0.0,
        norm_groups=4,
        predicts="x0",
    )


def degraded(images: Tensor, generator: torch.Generator) -> Tensor:
    """(b, 3, h, w) in -1 … 1: half of them blurred by a Gaussian and noised, each to another degree; 8-bit values."""
    count = len(images)
    some = (torch.rand(count, generator=generator) < 0.5).float()
    blur = (some * torch.rand(count, generator=generator) * MAX_BLUR).clamp(min=1e-2)
    noise = some * torch.rand(count, generator=generator) * MAX_NOISE
    kernel = torch.exp(-torch.tensor([1.0, 0.0, 1.0]) / (2 * blur[:, None] ** 2))
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    kernels = (kernel[:, :, None] * kernel[:, None, :]).repeat_interleave(images.shape[1], 0)[:, None]
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate").flatten(0, 1)[None]
    blurred = F.conv2d(padded, to_device(kernels, images.device), groups=kernels.shape[0]).view_as(images)
    noise = noise[:, None, None, None] * torch.randn(images.shape, generator=generator)
    blurred = blurred + to_device(noise, images.device)
    return rounded(blurred.clamp(-1, 1))


class UpsampleLoss(NoisedPictures):
    """Of the upsampler, on images and their small versions."""

    def __call__(self, model: UNet, indices: Tensor, generator: torch.Generator, done: float) -> LossAndLog:
        x0 = self.pictures(indices)
        low_res = degraded(F.avg_pool2d(x0, 2), generator)
        t = to_device(stratified_timesteps(len(x0), len(self.diffusion), generator), self.device)
        _, x = self.noised(x0, t, generator)
        tokens, real = self.pick_captions(indices, generator)
        with self.accelerator.autocast():
            output = model(x, t, model.encode_text(tokens, real), low_res=low_res)
        return image_loss(self.diffusion, output.float(), x0, x, t)


def train_upsample(options: UpsampleOptions) -> Path:
    """Trains the upsampler and returns the path of its averaged weights."""
    training = Training(options, ema_decay=0.998, preview_images=2_000)
    data = TrainingSet(options.data)
    model = UNet(config(data.vocab_size))
    shown = spread(len(data.images), PREVIEW_IMAGES)

    def preview(model: UNet, path: Path) -> None:
        large = data.images[shown].float() / 127.5 - 1
        small = rounded(F.avg_pool2d(large, 2))
        prompts = [data.captions[data.captions_of[index][0]] for index in shown]
        process, generators = diffusion_of(model.config, PREVIEW_SPACING), seeded_generators(range(len(shown)))
        low_res = small.to(training.device)
        images = draw(model, data.text_tokenizer, prompts, generators, process, sampler="ddim", low_res=low_res)
        training_set.sheet([small, images, large], path)

    loss = UpsampleLoss(training, data, data.text_tokenizer, diffusion_of(model.config), model.config.image_size)
    return training.train_and_print(model, loss, len(data.images), preview, config=str(model.config), **data.kept)


main = command(train_upsample, __doc__, UpsampleOptions())

if __name__ == "__main__":
    raise SystemExit(run(main))
