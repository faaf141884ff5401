"""What the losses of several models share: times, dropped captions, and the contrast of pictures and texts."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

CAPTION_DROPOUT = 0.1  # for classifier-free guidance (Ho & Salimans, arXiv 2207.12598, algorithm 1)


def stratified_timesteps(count: int, steps: int, generator: torch.Generator) -> Int64[Tensor, " count"]:
    """One timestep from each of `count` equal slices of 0 … steps - 1, in random order.

    The loss depends less on luck than with independent ones (Kingma et al., arXiv 2107.00630, appendix I.1).
    """
    slices = (torch.arange(count) + torch.rand((), generator=generator)) / count
    t = (slices[torch.randperm(count, generator=generator)] * steps).long()
    return t.clamp(max=steps - 1)  # the last slice's end rounds up to 1


def drop_mask(count: int, share: float, generator: torch.Generator) -> Bool[Tensor, " count"]:
    """True, each independently with probability `share` (0 … 1), in the places whose caption is to be dropped."""
    return torch.rand(count, generator=generator) < share


def contrastive_loss(
    images: Float[Tensor, "b d"], texts: Float[Tensor, "b d"], scale: Float[Tensor, ""]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Symmetric cross-entropy of a batch of pairs (CLIP: Radford et al., arXiv 2103.00020, figure 3).

    Args:
        images, texts: rows of length 1; those of the same number belong together, all others do not.
        scale: what a cosine is multiplied by to be a logit.

    Returns:
        The loss, and the share (0 … 1) of the images that are closest to their own text.
    """
    logits = scale * images @ texts.T
    own = torch.arange(len(logits), device=logits.device)
    value = (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2
    return value, (logits.argmax(1) == own).float().mean()
