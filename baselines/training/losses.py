"""What the losses of several models share: times, dropped captions, pictures' errors, pictures against texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor
from torch.nn import functional

from baselines.training.batches import Examples
from baselines.training.pictures import cropped_and_flipped

Numbers = Mapping[str, float | Tensor]  # tensors of one value, without gradients
LossAndLog = tuple[Tensor, Numbers]  # what a step gives: its loss, and what to log beside it
# Squared error alone spends everything on outlines and lets a patch of colour run into its neighbour.
EDGE_WEIGHT, COLOUR_WEIGHT = 0.25, 2.5
CAPTION_DROPOUT = 0.1  # for classifier-free guidance (Ho & Salimans, arXiv 2207.12598, algorithm 1)


@dataclass(frozen=True)
class PictureLoss:
    """On pictures, uint8 (n, 3, h, w), with networks that compute as the accelerator says."""

    images: Examples
    accelerator: Accelerator

    def crops(self, indices: Tensor, size: int | None, generator: torch.Generator) -> Float32[Tensor, "b 3 s s"]:
        """As `cropped_and_flipped`, in -1 … 1."""
        return cropped_and_flipped(self.images[indices], size, generator).float() / 127.5 - 1


def stratified_timesteps(count: int, steps: int, generator: torch.Generator) -> Int64[Tensor, " count"]:
    """One timestep from each of `count` equal slices of 0 … steps - 1, in random order.

    The loss depends less on luck than with independent ones (Kingma et al., arXiv 2107.00630, appendix I.1).
    """
    slices = (torch.arange(count) + torch.rand((), generator=generator)) / count
    t = (slices[torch.randperm(count, generator=generator)] * steps).long()
    return t.clamp(max=steps - 1)  # the last slice's end rounds up to 1


def drop_mask(count: int, fraction: float, generator: torch.Generator) -> Bool[Tensor, " count"]:
    """True, each independently with probability `fraction` (0 … 1), in the places whose caption is to be dropped."""
    return torch.rand(count, generator=generator) < fraction


def picture_error(
    y: Float[Tensor, "b 3 h w"], x: Float[Tensor, "b 3 h w"], colour_weight: float = COLOUR_WEIGHT
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """Squared error of pictures in -1 … 1, of their differences, which weighs outlines, and of their colours.

    Returns:
        The loss; for the log the batch's PSNR (dB) and the colours' error.
    """
    error = y - x
    mse = error.square().mean()
    edges = (error.diff(dim=2).square().mean() + error.diff(dim=3).square().mean()) / 2
    hue = error - error.mean(dim=1, keepdim=True)  # the colours less brightness, of pixels and of patches of 4 x 4
    colour = hue.square().mean() + 4 * functional.avg_pool2d(hue, 4, 2).square().mean()
    numbers = {"psnr": -10 * torch.log10(mse.detach() / 4), "colour": colour.detach()}
    return mse + EDGE_WEIGHT * edges + colour_weight * colour, numbers


def contrastive_loss(
    images: Float[Tensor, "b d"],
    texts: Float[Tensor, "b d"],
    scale: Float[Tensor, ""],
    more: Float[Tensor, "b k"] | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Symmetric cross-entropy of a batch of pairs (CLIP: Radford et al., arXiv 2103.00020, figure 3).

    Args:
        images, texts: rows of length 1; those of the same number belong together, all others do not.
        scale: what a cosine is multiplied by to be a logit.
        more: logits of further texts for each image, from which its own is to be told as well.

    Returns:
        The loss, and the fraction (0 … 1) of the images that are closest, of `texts`, to their own.
    """
    logits = scale * images @ texts.T
    own = torch.arange(len(logits), device=logits.device)
    of_images = logits if more is None else torch.cat([logits, more], dim=1)
    value = (functional.cross_entropy(of_images, own) + functional.cross_entropy(logits.T, own)) / 2
    return value, (logits.argmax(1) == own).float().mean()
