"""Precision, recall, density and coverage: how many images look real, and how much of the real there is among them.

Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", ICML 2020, arXiv 2002.09797. Around each
image of a set lies a ball that reaches to its k-th nearest neighbour in the set; their union is where the set lives.
Precision and recall (Kynkäänniemi et al., NeurIPS 2019) ask whether an image lies in any ball of the other
set; density and coverage (section 3) count the balls of real images, which an outlier moves less.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from scorer.metrics.base import OfFeatures, joined

K = 5  # nearest neighbours, as in the paper's experiments
CHUNK = 2048  # images a side of the blocks in which all pairs are looked at
# Squared distances under this fraction of the squared lengths are rounding: equal features are at distance 0.
EQUAL = 1e-12


@dataclass(frozen=True)
class Prdc:
    """All higher is better. `precision`, `recall`, `coverage` are fractions of images; `density` of real ones is 1."""

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(
    features: Float[Tensor, "n d"], references: Float[Tensor, "m d"], k: int = K, device: torch.device | None = None
) -> Prdc:
    """The four, in float64.

    Args:
        features: (N, D) of the generated images, N > k; may be mapped from a file.
        references: (M, D) of the real ones, M > k.
        k: how many nearest neighbours a ball reaches to, the image itself not counted.
        device: where to compute, by default where the features are; they are moved there in parts.

    Raises:
        ValueError: too few rows, or another number of dimensions.
    """
    n, m = len(features), len(references)
    if min(n, m) <= k:
        raise ValueError(f"the {k} nearest neighbours need more than {k} images on each side, got {n} and {m}")
    if features.shape[1] != references.shape[1]:
        raise ValueError(f"the features have {features.shape[1]} dimensions, the references' {references.shape[1]}")
    device = device or features.device
    radii, reference_radii = _squared_radii(features, k, device), _squared_radii(references, k, device)
    balls = torch.zeros(n, dtype=torch.int64, device=device)  # of the references, that hold each image
    recalled = torch.zeros(m, dtype=torch.bool, device=device)
    nearest = torch.full((m,), torch.inf, dtype=torch.float64, device=device)
    for row in range(0, m, CHUNK):
        part = slice(row, row + CHUNK)
        for column in range(0, n, CHUNK):
            other = slice(column, column + CHUNK)
            distances = _squared_distances(references[part], features[other], device)
            balls[other] += (distances < reference_radii[part, None]).sum(dim=0)
            recalled[part] |= (distances < radii[other]).any(dim=1)
            nearest[part] = torch.minimum(nearest[part], distances.amin(dim=1))
    return Prdc(
        precision=float((balls > 0).double().mean()),
        recall=float(recalled.double().mean()),
        density=float(balls.double().mean()) / k,
        coverage=float((nearest < reference_radii).double().mean()),
    )


def _squared_radii(x: Tensor, k: int, device: torch.device) -> Float64[Tensor, " n"]:
    """The squared distance of each row to its k-th nearest other row."""
    radii = []
    for left in x.split(CHUNK):
        # The image itself is its own nearest, at distance 0.
        nearest = torch.full((len(left), k + 1), torch.inf, dtype=torch.float64, device=device)
        for right in x.split(CHUNK):
            found = torch.cat([nearest, _squared_distances(left, right, device)], dim=1)
            nearest = found.topk(k + 1, dim=1, largest=False).values
        radii.append(nearest.amax(dim=1))
    return torch.cat(radii)


def _squared_distances(x: Tensor, y: Tensor, device: torch.device) -> Float64[Tensor, "n m"]:
    x, y = x.to(device, torch.float64), y.to(device, torch.float64)
    lengths = x.square().sum(dim=1)[:, None] + y.square().sum(dim=1)
    distances = lengths - 2.0 * (x @ y.T)
    return torch.where(distances > EQUAL * lengths, distances, 0.0)


class PRDC(OfFeatures):
    """Precision, recall, density and coverage, which one comparison of all features gives together."""

    names = ("precision", "recall", "density", "coverage")
    fewest = K + 1

    def compute(self) -> dict[str, Float64[Tensor, ""]]:
        found = prdc(joined(self.inception), joined(self.reference_inception), device=self.device)
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in asdict(found).items()}
