"""CMMD: the maximum mean discrepancy of CLIP's image embeddings.

Jayasumana et al., "Rethinking FID: Towards a Better Evaluation Metric for Image Generation", CVPR 2024,
arXiv 2401.09603: Gaussian kernel exp(−|x − y|² / 2σ²), σ = 10, scaled by 1000, on embeddings of unit length. The
estimate is that of the authors' code (Gretton et al. 2012, eq. 5: all pairs, each image with itself too), which is
never negative. The paper's numbers are those of CLIP ViT-L/14 at 336 pixels; another CLIP gives others.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn.functional import normalize

from scorer.metrics.base import ScoredMetric, joined

SIGMA = 10.0
SCALE = 1000.0
CHUNK = 2048  # images a side of the blocks in which all pairs are looked at


def cmmd(
    embeddings: Float[Tensor, "n e"], references: Float[Tensor, "m e"], device: torch.device | None = None
) -> float:
    """The CMMD, in float64; lower is better.

    Args:
        embeddings: (N, E) of the generated images, of any length; may be mapped from a file.
        references: (M, E) of the real ones.
        device: where to compute, by default where the embeddings are; they are moved there in parts.

    Raises:
        ValueError: no rows, or another number of dimensions.
    """
    if min(len(embeddings), len(references)) < 1 or embeddings.shape[1] != references.shape[1]:
        raise ValueError(f"CMMD of embeddings {tuple(embeddings.shape)} and {tuple(references.shape)}")
    device = device or embeddings.device
    within = _mean_kernel(embeddings, embeddings, device) + _mean_kernel(references, references, device)
    return SCALE * (within - 2.0 * _mean_kernel(embeddings, references, device))


def _mean_kernel(x: Tensor, y: Tensor, device: torch.device) -> float:
    total = torch.zeros((), dtype=torch.float64, device=device)
    for left in x.split(CHUNK):
        left = normalize(left.to(device, torch.float64), dim=1)
        for right in y.split(CHUNK):
            cosines = left @ normalize(right.to(device, torch.float64), dim=1).T
            total += torch.exp((cosines - 1.0) / SIGMA**2).sum()  # |x − y|² = 2 − 2 cos
    return float(total) / (len(x) * len(y))


class CMMD(ScoredMetric):
    """The CMMD of images and of their references, by CLIP's embeddings of both."""

    names = ("cmmd",)
    states = ("clip", "reference_clip")
    fewest = 6  # as of all metrics on request
    clip: list[Tensor]
    reference_clip: list[Tensor]

    def update(self, clip: Float[Tensor, "b e"], reference_clip: Float[Tensor, "b e"]) -> None:
        self.clip.append(clip)
        self.reference_clip.append(reference_clip)

    def compute(self) -> Float64[Tensor, ""]:
        value = cmmd(joined(self.clip), joined(self.reference_clip), self.device)
        return torch.tensor(value, dtype=torch.float64)
