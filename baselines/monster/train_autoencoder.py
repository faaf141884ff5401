"""python -m baselines.monster.train_autoencoder: the latent space that the UNet draws in.

diffusers' AutoencoderKL, four times smaller in each direction, with the loss of Rombach et al. (arXiv 2112.10752,
appendix G) less its adversarial part. The first part of the training sees crops, where most of the arithmetic goes into
monsters rather than into white paper. At the end the decoder alone is trained on, on whole pictures, with the encoder
fixed (as Stable Diffusion's own autoencoder was improved after the fact).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from baselines.pixels import psnr, to_pixels
from baselines.training.batches import Examples, to_device
from baselines.training.losses import LossAndLog, PictureLoss, picture_error
from baselines.training.options import ReadingOptions, RunOptions, command, option
from baselines.training.run import train_only
from baselines.training.training import Training
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


class ReconstructionLoss(PictureLoss):
    """Of an AutoencoderKL, on crops and at last on whole pictures: their error and the posterior's divergence."""

    def __call__(self, model: AutoencoderKL, indices: Tensor, generator: torch.Generator, done: float) -> LossAndLog:
        x = self.crops(indices, CROP if done < CROPPED_FRACTION else None, generator)
        with self.accelerator.autocast():
            posterior = model.encode(x).latent_dist
            mean, logvar = posterior.mean.float(), posterior.logvar.float()
            noise = to_device(torch.randn(mean.shape, generator=generator), x.device)
            y = model.decode(mean + torch.exp(0.5 * logvar) * noise).sample.float()
            value, numbers = picture_error(y, x)
            kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
            return value + KL_WEIGHT * kl, {**numbers, "kl": kl.detach()}


class DecoderLoss(PictureLoss):
    """Of an AutoencoderKL whose decoder alone is trained, on whole pictures."""

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
    training = Training(options, weight_decay=1e-4, ema_decay=0.999)
    some = pictures.some_images.to(training.device)
    images = Examples(pictures.images, training.device)
    model = first_part(training, options.init, images, some, pictures=pictures.sha256)
    train_only(model, "decoder", "post_quant_conv")
    more = replace(options, out=options.out / "decoder", images=options.decoder_images, learning_rate=7e-4)
    second = Training(more, weight_decay=1e-4, ema_decay=0.998, seed=1)
    second.train_and_load(model, DecoderLoss(images, second.accelerator), len(images), pictures=pictures.sha256)
    # The factor stays: a UNet may have been trained with it.
    return training.finish(partial(write, model, some))


def first_part(training: Training, init: Path | None, images: Examples, some: Tensor, **kept: object) -> AutoencoderKL:
    """Encoder and decoder together. A UNet may be trained from here on: the second part leaves every latent alone."""
    model = build()
    if init:
        model = load_network(AutoencoderKL, init).float()
        kept["init"] = [file_sha256(file) for file in sorted(init.glob("diffusion_pytorch_model.*"))]
    training.train_and_load(model, ReconstructionLoss(images, training.accelerator), len(images), **kept)
    state = model.state_dict()
    build_of = {name: value for name, value in model.config.items() if name != "_name_or_path"}  # of --init's folder
    model = type(model).from_config(build_of).to(training.device).eval()
    model.load_state_dict(state)
    latents, _ = measure(model, some)
    model.register_to_config(scaling_factor=round(1 / latents.std().item(), 5))
    training.finish(partial(write, model, some))
    return model


def write(model: AutoencoderKL, images: Tensor, out: Path) -> None:
    """Writes the model in half precision, and says how well it shows `images`, uint8 (N, 3, H, W)."""
    copy.deepcopy(model).half().save_pretrained(out)
    print(f"{out}: {measure(model, images)[1]:.2f} dB on training pictures, factor {model.config.scaling_factor}")


@torch.no_grad()
def measure(model: AutoencoderKL, images: Tensor) -> tuple[Tensor, float]:
    """uint8 (N, 3, H, W) -> their latents (posterior means), and the mean PSNR (dB) of what is decoded from them."""
    parts = images.split(64)
    latents = [model.encode(part.float() / 127.5 - 1).latent_dist.mean for part in parts]
    quality = [psnr(to_pixels(model.decode(z).sample), part) for z, part in zip(latents, parts, strict=True)]
    return torch.cat(latents), torch.cat(quality).mean().item()


main = command(train_autoencoder, __doc__, AutoencoderOptions())

if __name__ == "__main__":
    raise SystemExit(run(main))
