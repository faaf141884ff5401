"""python -m baselines.monster.train_autoencoder: the latent space that the UNet draws in.

diffusers' AutoencoderKL, four times smaller in each direction, with the loss of Rombach et al. (arXiv 2112.10752,
appendix G) less its adversarial part. The first part of the training sees crops, where most of the arithmetic goes into
monsters rather than into white paper. At the end the decoder alone is trained on, on whole pictures, with the encoder
fixed (as Stable Diffusion's own autoencoder was improved after the fact).
"""

from __future__ import annotations

import copy
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from torch import Tensor

from baselines.pixels import psnr, to_pixels
from baselines.processes import in_the_first
from baselines.training.batches import Examples, to_device
from baselines.training.losses import LossAndLog, picture_error
from baselines.training.options import ReadingOptions, RunOptions, command, option
from baselines.training.pictures import cropped_and_flipped
from baselines.training.run import train_only
from baselines.training.schedule import Schedule
from baselines.weight_files import load_network
from submission.errors import run
from submission.hashes import file_sha256

KL_WEIGHT = 2e-4  # at this weight the posterior's noise costs about 40 dB, far below the reconstruction's error
CROP, CROPPED_FRACTION = 32, 0.8
LATENT_NOISE = 0.05  # in the decoder's own training, in units of the latents


@dataclass(frozen=True, kw_only=True)
class AutoencoderOptions(RunOptions, ReadingOptions):
    """Both parts of the training."""

    out: Path = Path("runs/autoencoder")
    images: int = option(172_000, "training images (crops) in all")
    learning_rate: float = 2e-3
    decoder_images: int = option(20_000, "then, decoder alone, at its own rate")
    init: Path | None = option(None, "a diffusers folder to start from (default: at random)")


def build() -> AutoencoderKL:
    """The architecture: 64 x 64 x 3 <-> 16 x 16 x 8, 0.9 million parameters."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(32, 48, 72),
        layers_per_block=1,
        latent_channels=8,
        norm_num_groups=8,
        sample_size=64,
        mid_block_add_attention=False,
    )


@dataclass(frozen=True)
class ReconstructionLoss:
    """Of an AutoencoderKL, on crops and at last on whole pictures: their error and the posterior's divergence."""

    images: Examples
    accelerator: Accelerator

    def __call__(self, model: AutoencoderKL, indices: Tensor, generator: torch.Generator, done: float) -> LossAndLog:
        x = cropped_and_flipped(self.images[indices], CROP if done < CROPPED_FRACTION else None, generator)
        x = x.float() / 127.5 - 1
        with self.accelerator.autocast():
            posterior = model.encode(x).latent_dist
            mean, logvar = posterior.mean.float(), posterior.logvar.float()
            noise = to_device(torch.randn(mean.shape, generator=generator), x.device)
            y = model.decode(mean + torch.exp(0.5 * logvar) * noise).sample.float()
            value, numbers = picture_error(y, x)
            kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
            return value + KL_WEIGHT * kl, {**numbers, "kl": kl.detach()}


@dataclass(frozen=True)
class DecoderLoss:
    """Of an AutoencoderKL whose decoder alone is trained, on whole pictures."""

    images: Examples
    accelerator: Accelerator

    def __call__(self, model: AutoencoderKL, indices: Tensor, generator: torch.Generator, done: float) -> LossAndLog:
        x = self.images[indices].float() / 127.5 - 1
        with torch.no_grad(), self.accelerator.autocast():
            z = model.encode(x).latent_dist.mean
        # What a UNet draws is never quite on the spot.
        z = z + LATENT_NOISE * to_device(torch.randn(z.shape, generator=generator), x.device)
        with self.accelerator.autocast():
            y = model.decode(z).sample.float()
        return picture_error(y, x)


def train_autoencoder(options: AutoencoderOptions) -> Path:
    """Trains an autoencoder and returns its diffusers folder."""
    pictures = options.pictures()
    accelerator = options.accelerator()
    some = pictures.some_images.to(accelerator.device)
    images = Examples(pictures.images, accelerator.device)
    kept = {"pictures": pictures.sha256}
    model = first_part(options, images, some, accelerator, **kept)
    train_only(model, "decoder", "post_quant_conv")
    schedule = Schedule.of(
        options, images=options.decoder_images, learning_rate=7e-4, weight_decay=1e-4, ema_decay=0.998, seed=1
    )
    accelerator = options.accelerator()
    second = replace(options, out=options.out / "decoder")
    weights = second.train(model, DecoderLoss(images, accelerator), len(images), schedule, accelerator, **kept)
    model.load_state_dict(load_file(weights))
    # The factor stays: a UNet may have been trained with it.
    in_the_first(accelerator, lambda: write(model, some, options.out / "model"))
    return options.out / "model"


def first_part(
    options: AutoencoderOptions, images: Examples, some: Tensor, accelerator: Accelerator, **kept: object
) -> AutoencoderKL:
    """Encoder and decoder together. A UNet may be trained from here on: the second part leaves every latent alone."""
    schedule = Schedule.of(options, weight_decay=1e-4, ema_decay=0.999)
    torch.manual_seed(schedule.seed)
    model = build()
    if options.init:
        model = load_network(AutoencoderKL, options.init).float()
        kept["init"] = [file_sha256(file) for file in sorted(options.init.glob("diffusion_pytorch_model.*"))]
    loss = ReconstructionLoss(images, accelerator)
    weights = options.train(model, loss, len(images), schedule, accelerator, **kept)
    build_of = {name: value for name, value in model.config.items() if name != "_name_or_path"}  # of --init's folder
    model = type(model).from_config(build_of).to(accelerator.device).eval()
    model.load_state_dict(load_file(weights))
    latents, _ = measure(model, some)
    model.register_to_config(scaling_factor=round(1 / latents.std().item(), 5))
    in_the_first(accelerator, lambda: write(model, some, options.out / "model"))
    return model


def write(model: AutoencoderKL, images: Tensor, out: Path) -> None:
    """Writes the model in half precision, and says how well it shows `images`, uint8 (N, 3, H, W)."""
    copy.deepcopy(model).half().save_pretrained(out)
    print(f"{out}: {measure(model, images)[1]:.2f} dB on training pictures, factor {model.config.scaling_factor}")


@torch.no_grad()
def measure(model: AutoencoderKL, images: Tensor) -> tuple[Tensor, float]:
    """uint8 (N, 3, H, W) -> their latents (posterior means), and the mean PSNR (dB) of what is decoded from them."""
    latents, quality = [], []
    for part in images.split(64):
        z = model.encode(part.float() / 127.5 - 1).latent_dist.mean
        latents.append(z)
        quality.append(psnr(to_pixels(model.decode(z).sample), part))
    return torch.cat(latents), torch.cat(quality).mean().item()


main = command(train_autoencoder, __doc__, AutoencoderOptions())

if __name__ == "__main__":
    sys.exit(run(main))
