"""python -m baselines.monster.train_autoencoder: the latent space that the UNet draws in.

diffusers' AutoencoderKL, four times smaller in each direction, with the loss of Rombach et al. (arXiv 2112.10752,
appendix G) less its adversarial part: squared error, a small Kullback-Leibler term, and squared error of the image's
differences, which weighs outlines. The first part of the training sees crops, where most of the arithmetic goes into
monsters rather than into white paper. At the end the decoder alone is trained on, on whole pictures, with the encoder
fixed (as Stable Diffusion's own autoencoder was improved after the fact). Squared error alone spends everything on
outlines and lets a patch of colour run into its neighbour; so the error of the colours, less brightness, counts again.
"""

from __future__ import annotations

import argparse
import copy
import sys
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from baselines.pixels import psnr, to_pixels
from baselines.pretrained import load_network
from baselines.processes import in_the_first
from baselines.training.options import accelerator_of, add_data, add_run, command_parser
from baselines.training.pictures import cropped_and_flipped, load_pictures
from baselines.training.schedule import Schedule
from baselines.training.trainer import Loss, train
from submission.errors import run

KL_WEIGHT = 2e-4  # at this weight the posterior's noise costs about 40 dB, far below the reconstruction's error
EDGE_WEIGHT = 0.25
CROP, CROPPED_SHARE = 32, 0.8
LATENT_NOISE = 0.05  # in the decoder's own training, in units of the latents
COLOUR_WEIGHT = 2.5


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


def reconstruction_loss(model: AutoencoderKL, x: Tensor, noise: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """x: float32 (B, 3, H, W) in [-1, 1]; noise: standard normal of the latents' shape."""
    posterior = model.encode(x).latent_dist
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    y = model.decode(mean + torch.exp(0.5 * logvar) * noise).sample.float()
    value, numbers = picture_error(y, x)
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    return value + KL_WEIGHT * kl, {**numbers, "kl": kl.detach()}


def picture_error(y: Tensor, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Squared error of pictures, float32 (B, 3, H, W) in [-1, 1], of their differences, and of their colours; what to
    log: the batch's PSNR (dB) and the colours' error."""
    error = y - x
    mse = error.square().mean()
    edges = (error.diff(dim=2).square().mean() + error.diff(dim=3).square().mean()) / 2
    colour = colour_error(error)
    numbers = {"psnr": -10 * torch.log10(mse.detach() / 4), "colour": colour.detach()}
    return mse + EDGE_WEIGHT * edges + COLOUR_WEIGHT * colour, numbers


def colour_error(error: Tensor) -> Tensor:
    """Squared error of the colours less brightness, of pixels and of patches of 4 x 4; error: float32 (B, 3, H, W)."""
    hue = error - error.mean(dim=1, keepdim=True)
    return hue.square().mean() + 4 * functional.avg_pool2d(hue, 4, 2).square().mean()


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(__doc__)
    add_data(parser)
    add_run(
        parser, "runs/autoencoder", images=172_000, batch_size=32, learning_rate=2e-3, counted="training images (crops)"
    )
    parser.add_argument("--decoder-images", type=int, default=20_000, help="then, decoder alone, at its own rate")
    parser.add_argument("--init", type=Path, help="a diffusers folder to start from (default: at random)")
    args = parser.parse_args(argv)
    pictures = load_pictures(args.data)
    accelerator = accelerator_of(args)
    device = accelerator.device

    def loss(
        model: nn.Module, indices: Tensor, generator: torch.Generator, done: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        x = cropped_and_flipped(pictures.images[indices], CROP if done < CROPPED_SHARE else None, generator)
        x = x.to(device).float() / 127.5 - 1
        noise = torch.randn(len(x), 8, x.shape[2] // 4, x.shape[3] // 4, generator=generator).to(device)
        with accelerator.autocast():
            return reconstruction_loss(accelerator.unwrap_model(model), x, noise)

    def decoder_loss(
        model: nn.Module, indices: Tensor, generator: torch.Generator, done: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        x = pictures.images[indices].to(device).float() / 127.5 - 1
        autoencoder = accelerator.unwrap_model(model)
        with torch.no_grad(), accelerator.autocast():
            z = autoencoder.encode(x).latent_dist.mean
        # What a UNet draws is never quite on the spot.
        z = z + LATENT_NOISE * torch.randn(z.shape, generator=generator).to(device)
        with accelerator.autocast():
            y = autoencoder.decode(z).sample.float()
        return picture_error(y, x)

    some = pictures.images[:: max(1, len(pictures.images) // 2048)].to(device)
    model = first_part(args, loss, pictures.images, some, accelerator)
    model.requires_grad_(False)
    model.decoder.requires_grad_(True)
    model.post_quant_conv.requires_grad_(True)
    schedule = Schedule(
        args.decoder_images, args.batch_size, learning_rate=7e-4, weight_decay=1e-4, ema_decay=0.998, seed=1
    )
    out = args.out / "decoder"
    weights = load_file(
        train(model, decoder_loss, len(pictures.images), schedule, out, accelerator=accelerator_of(args))
    )
    model.load_state_dict(weights)
    # The factor stays: a UNet may have been trained with it.
    in_the_first(accelerator, lambda: write(model, some, args.out / "model"))
    return 0


def first_part(
    args: argparse.Namespace, loss: Loss, images: Tensor, some: Tensor, accelerator: Accelerator
) -> AutoencoderKL:
    """Encoder and decoder together. A UNet may be trained from here on: the second part leaves every latent alone."""
    rate = args.learning_rate
    schedule = Schedule(args.images, args.batch_size, learning_rate=rate, weight_decay=1e-4, ema_decay=0.999)
    model = load_network(AutoencoderKL, args.init).float() if args.init else build()
    weights = load_file(train(model, loss, len(images), schedule, args.out, accelerator=accelerator))
    model = build().to(accelerator.device).eval()
    model.load_state_dict(weights)
    latents, _ = measure(model, some)
    model.register_to_config(scaling_factor=round(1 / latents.std().item(), 5))
    in_the_first(accelerator, lambda: write(model, some, args.out / "model"))
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


if __name__ == "__main__":
    sys.exit(run(main))
