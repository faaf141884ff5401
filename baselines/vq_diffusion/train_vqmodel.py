"""python -m baselines.vq_diffusion.train_vqmodel: the codes that a picture is written in.

diffusers' VQModel, one code for each 4 x 4 pixels. Encoder and decoder learn by gradients, past the choice of a code by
the straight-through estimate; the codebook follows the running means of what is assigned to each code (van den Oord et
al., arXiv 1711.00937, section 3.1 and appendix A.1). A code that hardly anything is assigned to starts afresh at an
encoding drawn from the batch (Dhariwal et al., Jukebox, arXiv 2005.00341, section 3.1), without which most codes would
never be used. Most of the training sees crops, which hold less white paper.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers import VQModel
from torch import Tensor, nn

from baselines.pixels import psnr
from baselines.training.batches import Examples
from baselines.training.losses import LossAndLog, PictureLoss, picture_error
from baselines.training.options import RunOptions, command, option
from baselines.training.pictures import load_pictures
from baselines.training.training import Training
from baselines.vq_diffusion.sampling import decode
from submission.errors import run

CODES, CODE_WIDTH = 1024, 8
COMMITMENT = 0.1  # weight of the encodings' distance to their codes, beside the picture's error
MEMORY = 0.99  # of the running means, per step
DEAD_FRACTION = 0.15  # of the frequency that a code would have if all were equally frequent
RESTARTING_FRACTION = 0.7  # of the training: what is started later would not settle
CROP, CROPPED_FRACTION = 32, 0.85


@dataclass(frozen=True, kw_only=True)
class VQModelOptions(RunOptions):
    """The VQModel's training."""

    out: Path = Path("runs/vqmodel")
    images: int = option(580_000, "training images (crops) in all")
    batch_size: int = 96
    learning_rate: float = 2e-3


def build() -> VQModel:
    """The architecture: 64 x 64 x 3 <-> 16 x 16 codes, 0.8 million parameters."""
    return VQModel(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(32, 48, 64),
        layers_per_block=1,
        latent_channels=CODE_WIDTH,
        vq_embed_dim=CODE_WIDTH,
        num_vq_embeddings=CODES,
        norm_num_groups=8,
        sample_size=64,
        mid_block_add_attention=False,
    )


def nearest_codes(codebook: Tensor, z: Tensor) -> Tensor:
    """The numbers, int64 (n,), of the codes (K, D) nearest to encodings (n, D)."""
    # |z|^2 is the same for all codes.
    return (codebook.square().sum(1) - 2 * z @ codebook.T).argmin(1)


def codes_of(vqvae: VQModel, images: Tensor) -> Tensor:
    """uint8 (B, 3, H, W) -> int64 (B, h, w): each place's code."""
    z = vqvae.encode(images.to(vqvae.device).float() / 127.5 - 1).latents.float().permute(0, 2, 3, 1)
    return nearest_codes(vqvae.quantize.embedding.weight.float(), z.flatten(0, 2)).view(z.shape[:3])


class Codebook(nn.Module):
    """A VQModel in training, with the running number and sum of the encodings assigned to each of its codes."""

    count: Tensor
    total: Tensor

    def __init__(self, vqvae: VQModel) -> None:
        super().__init__()
        self.vqvae = vqvae
        weight = vqvae.quantize.embedding.weight
        weight.requires_grad_(False)
        self.register_buffer("count", torch.zeros(len(weight)))
        self.register_buffer("total", torch.zeros_like(weight))

    @torch.no_grad()
    def follow(self, z: Tensor, codes: Tensor, accelerator: Accelerator) -> None:
        """Moves the codes towards the means of the encodings z (n, D) that were assigned to them by `codes` (n,)."""
        count = torch.zeros_like(self.count).index_add_(0, codes, torch.ones_like(z[:, 0]))
        total = torch.zeros_like(self.total).index_add_(0, codes, z)
        self.count.lerp_(accelerator.reduce(count, "sum"), 1 - MEMORY)
        self.total.lerp_(accelerator.reduce(total, "sum"), 1 - MEMORY)
        self.vqvae.quantize.embedding.weight.copy_(self.total / self.count.clamp(min=1e-5)[:, None])

    @torch.no_grad()
    def restart_dead(self, z: Tensor, generator: torch.Generator, accelerator: Accelerator) -> int:
        """Puts the codes that are hardly used, all of them at first, on encodings drawn from z (n, D); how many.

        An encoding is drawn the more likely the farther it is from its code (in squares: k-means++, Arthur and
        Vassilvitskii 2007), or most would start on white paper, which needs one code.
        """
        seen = accelerator.gather(z)
        usual = len(seen) / len(self.count)
        dead = self.count < DEAD_FRACTION * usual
        if not dead.any():
            return 0
        weight = self.vqvae.quantize.embedding.weight
        error = (seen - weight[nearest_codes(weight, seen)]).square().sum(1)
        drawn = torch.multinomial(error.cpu() + 1e-12, len(dead), replacement=True, generator=generator)
        weight.copy_(torch.where(dead[:, None], seen[drawn.to(seen.device)], weight))
        self.count.copy_(torch.where(dead, torch.full_like(self.count, usual), self.count))
        self.total.copy_(weight * self.count[:, None])
        return int(dead.sum())


class CodebookLoss(PictureLoss):
    """Of a `Codebook`: the error of pictures that are decoded from codes, and the encodings' distance to their codes.

    It also moves the codes, as they are not trained by gradients.
    """

    def __call__(self, model: Codebook, indices: Tensor, generator: torch.Generator, done: float) -> LossAndLog:
        vqvae = model.vqvae
        x = self.crops(indices, CROP if done < CROPPED_FRACTION else None, generator)
        with self.accelerator.autocast():
            z = vqvae.encode(x).latents
        z = z.float()
        flat = z.detach().permute(0, 2, 3, 1).flatten(0, 2)
        restarted = 0
        if done < RESTARTING_FRACTION:
            # Its own stream, the same in every process: all must restart the same codes at the same encodings.
            same = torch.Generator().manual_seed(int(done * 2**40))
            restarted = model.restart_dead(flat, same, self.accelerator)
        weight = vqvae.quantize.embedding.weight
        codes = nearest_codes(weight, flat)
        quantized = weight[codes].view(z.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
        model.follow(flat, codes, self.accelerator)
        with self.accelerator.autocast():
            straight_through = z + (quantized - z).detach()
            y = vqvae.decode(straight_through, force_not_quantize=True).sample.float()
        value, numbers = picture_error(y, x)
        commitment = (z - quantized.detach()).square().mean()
        return value + COMMITMENT * commitment, {
            **numbers,
            "commitment": commitment.detach(),
            "restarted": restarted,
            "perplexity": perplexity(model.count),
        }


def train_vqmodel(options: VQModelOptions) -> Path:
    """Trains a VQModel and returns its diffusers folder."""
    pictures = load_pictures(options.data)
    training = Training(options, weight_decay=1e-4, ema_decay=0.998, save_minutes=2)
    codebook = Codebook(build())
    loss = CodebookLoss(Examples(pictures.images, training.device), training.accelerator)
    training.train_and_load(codebook, loss, len(pictures.images), pictures=pictures.sha256)
    some = pictures.some_images.to(training.device)
    return training.finish(partial(finish, codebook.vqvae.to(training.device).eval(), some))


def perplexity(count: Tensor) -> Tensor:
    """exp of the entropy of the codes' frequencies, from their numbers (K,): K when all are equally frequent."""
    frequency = count / count.sum()
    return torch.exp(-(frequency * frequency.clamp(min=1e-12).log()).sum())


@torch.no_grad()
def finish(model: VQModel, images: Tensor, out: Path) -> None:
    """Writes the model in half precision, and says what it makes of `images`, uint8 (N, 3, H, W)."""
    parts = images.split(64)
    codes = [codes_of(model, part).flatten(1) for part in parts]
    quality = torch.cat([psnr(decode(model, own), part) for own, part in zip(codes, parts, strict=True)]).mean()
    count = torch.cat(codes).flatten().bincount(minlength=model.config.num_vq_embeddings).cpu()
    copy.deepcopy(model).half().save_pretrained(out)
    print(
        f"{out}: {quality:.2f} dB on training pictures, {int((count > 0).sum())} of {len(count)} codes used,"
        f" perplexity {perplexity(count.float()):.0f}",
        flush=True,
    )


main = command(train_vqmodel, __doc__, VQModelOptions())

if __name__ == "__main__":
    raise SystemExit(run(main))
