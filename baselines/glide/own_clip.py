"""What GLIDE's own noised CLIP thinks of finished images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from torch.nn import functional as F

from baselines.glide.stages import from_pixels
from baselines.glide.weights import Folder

_BATCH = 64


@torch.no_grad()
def own_clip(folder: Folder, images: Sequence[UInt8[np.ndarray, "h w 3"]], prompts: Sequence[str]) -> float:
    """The mean cosine, -1 … 1, of images and their prompts; the images are not noised (t = 0) and scaled to its size.

    Not the scorer's CLIP-T, which another network measures: the gradient of this one guides.
    """
    clip, tokenizer = folder.noised_clip(), folder.clip_tokenizer()
    cosines = []
    for start in range(0, len(images), _BATCH):
        pixels = from_pixels(np.stack(images[start : start + _BATCH]))
        small = F.adaptive_avg_pool2d(pixels, clip.config.image_size)
        seen = clip.embed_images(small, torch.zeros(len(small), dtype=torch.long))
        cosines.append((seen * clip.embed_texts(*tokenizer(prompts[start : start + _BATCH]))).sum(dim=1))
    return float(torch.cat(cosines).mean())
