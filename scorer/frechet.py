"""The Fréchet distance between two Gaussians fitted to network features.

Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", NeurIPS 2017, eq. 6:
    d² = |μ₁ − μ₂|² + Tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)

The matrix square root is never formed. Only its trace is needed, and Tr (Σ₁Σ₂)^½ is the sum of the square roots of the
eigenvalues of a symmetric positive semi-definite matrix, in two ways:
  n < d   A Σ₂ Aᵀ (n × n) with Σ₁ = AᵀA, A = (F − μ₁) / √(n−1): small, and exact for a rank-deficient Σ₁;
  n ≥ d   Σ₂^½ Σ₁ Σ₂^½ (d × d).
Real by construction, where scipy's sqrtm of the non-symmetric product needs seconds and returns complex noise.

To leave some images out, neither matrix is made again: in the first their rows and columns are dropped, from the second
their own products are subtracted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

CHUNK = 4096  # images in float64 at a time, so that features of any number, mapped from a file too, cost little memory


@dataclass(frozen=True)
class Moments:
    """Of `n` features: their mean and their scatter Σ (x − μ)(x − μ)ᵀ."""

    n: int
    mean: Float64[Tensor, " d"]
    scatter: Float64[Tensor, "d d"]

    @property
    def covariance(self) -> Float64[Tensor, "d d"]:
        """Divided by n − 1."""
        return self.scatter / (self.n - 1)


def moments(features: Tensor, total: Callable[[Tensor], Tensor] = lambda part: part) -> Moments:
    """The moments of (N, D) features in float64 on the features' device, in two passes.

    Args:
        features: of any float type; those of one process where several share them.
        total: the sum over all processes of a tensor, the same in each (`Processes.total`).
    """
    n = int(total(torch.tensor(len(features))))
    mean = total(_sum(features)) / n
    return Moments(n, mean, total(_scatter(features, mean)))


def feature_statistics(features: Tensor | np.ndarray) -> tuple[Float64[Tensor, " d"], Float64[Tensor, "d d"]]:
    """Mean and covariance (divided by n − 1) of N×D features, in float64 on the features' device."""
    both = moments(_checked(features, "features"))
    return both.mean, both.covariance


def frechet_distance(
    features: Tensor | np.ndarray, mean: Tensor | np.ndarray, covariance: Tensor | np.ndarray
) -> float:
    """Squared Fréchet distance (FID when the features are Inception's) between features and a reference Gaussian.

    Args:
        features: (N, D) of the generated images, N ≥ 2; any float type, computed in float64.
        mean: (D,) of the reference.
        covariance: (D, D) of the reference, symmetric.

    Returns:
        The distance, lower is better; rounding can leave a value of about −1e-6 for identical sets.

    Raises:
        ValueError: fewer than two rows, shapes that do not fit, a value that is not finite.
    """
    return FrechetDistance(features, mean, covariance).without(torch.empty(0, dtype=torch.int64))


class FrechetDistance:
    """The distance of `frechet_distance`, of all features or `without` some of them; takes and raises the same.

    `device` is where to compute, by default where the features are; they are moved there in parts. `known` are the
    features' moments, where they have been computed already.
    """

    def __init__(
        self,
        features: Tensor | np.ndarray,
        mean: Tensor | np.ndarray,
        covariance: Tensor | np.ndarray,
        device: torch.device | None = None,
        known: Moments | None = None,
    ) -> None:
        self._features = _checked(features, "features")
        device = device or self._features.device
        self._mean = (_sum(self._features) / len(self._features) if known is None else known.mean).to(device)
        n, d = self._features.shape
        reference_mean = torch.as_tensor(mean, dtype=torch.float64, device=device)
        covariance = torch.as_tensor(covariance, dtype=torch.float64, device=device)
        if reference_mean.shape != (d,) or covariance.shape != (d, d):
            raise ValueError(
                f"the features have {d} dimensions, but the reference's mean is {tuple(reference_mean.shape)} "
                f"and its covariance {tuple(covariance.shape)}: they come from different networks"
            )
        _require_finite(reference_mean, "the reference's mean")
        _require_finite(covariance, "the reference's covariance")
        self._difference = self._mean - reference_mean
        self._reference_trace = covariance.trace()
        self._few = n < d
        if self._few:
            centred = self._features.to(device, torch.float64) - self._mean
            self._products = centred @ covariance @ centred.T
            self._trace = centred.square().sum()
        else:
            eigenvalues, eigenvectors = torch.linalg.eigh(covariance)
            self._half = eigenvectors * eigenvalues.clamp(min=0.0).sqrt()
            scatter = _scatter(self._features, self._mean) if known is None else known.scatter.to(device)
            self._products = self._half.T @ scatter @ self._half
            self._trace = scatter.trace()

    def without(self, rows: Int64[Tensor, " m"]) -> float:
        """The distance of the features without those of `rows` (each once); at least two must be left."""
        n = len(self._features) - len(rows)
        if n < 2:
            raise ValueError(f"a covariance needs at least 2 images, and only {n} would be left")
        out = self._features[rows.to(self._features.device)].to(self._mean.device, torch.float64) - self._mean
        shift = out.sum(dim=0) / -n  # of the mean: the centred features sum to zero
        products = self._products_without(rows, out, shift, n) / (n - 1)
        # eigvalsh reads one triangle; averaging both keeps the result independent of which.
        trace_of_root = torch.linalg.eigvalsh((products + products.T) / 2).clamp(min=0.0).sqrt().sum()
        trace = (self._trace - out.square().sum() - n * shift.square().sum()) / (n - 1)
        difference = self._difference + shift
        return float(difference.square().sum() + trace + self._reference_trace - 2.0 * trace_of_root)

    def _products_without(self, rows: Tensor, out: Tensor, shift: Tensor, n: int) -> Tensor:
        if not len(rows):
            return self._products
        if not self._few:
            out, shift = out @ self._half, shift @ self._half
            return self._products - out.T @ out - n * torch.outer(shift, shift)
        kept = torch.ones(len(self._features), dtype=torch.bool).index_fill(0, rows.cpu(), False).to(out.device)
        products = self._products[kept][:, kept]
        # The rest has another mean; centring the products is centring the features.
        means = products.mean(dim=0)
        return products - means - means[:, None] + means.mean()


def _checked(features: Tensor | np.ndarray, what: str) -> Tensor:
    features = torch.as_tensor(features)
    if features.ndim != 2:
        raise ValueError(f"{what} must be N×D, got shape {tuple(features.shape)}")
    if len(features) < 2:
        raise ValueError(f"a covariance needs at least 2 images, got {len(features)}")
    for part in features.split(CHUNK):
        _require_finite(part, what)
    return features


def _sum(features: Tensor) -> Float64[Tensor, " d"]:
    total = torch.zeros(features.shape[1], dtype=torch.float64, device=features.device)
    for part in features.split(CHUNK):
        total += part.double().sum(dim=0)
    return total


def _scatter(features: Tensor, mean: Float64[Tensor, " d"]) -> Float64[Tensor, "d d"]:
    """Σ (x − μ)(x − μ)ᵀ, on the mean's device."""
    total = torch.zeros(len(mean), len(mean), dtype=torch.float64, device=mean.device)
    for part in features.split(CHUNK):
        centred = part.to(mean.device, torch.float64) - mean
        total.addmm_(centred.T, centred)
    return total


def _require_finite(values: Tensor, what: str) -> None:
    # Checked before any decomposition: a single NaN makes some of them run for minutes instead of failing.
    if not torch.isfinite(values).all():
        raise ValueError(f"{what}: {int((~torch.isfinite(values)).sum())} values are NaN or infinite")
