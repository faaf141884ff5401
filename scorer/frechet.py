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

To leave images out together with their references (`PairedFrechetDistance`), Σ₂ changes too, with Σ₂ = BᵀB:
  n < d   Tr (Σ₁Σ₂)^½ is the sum of the singular values of A Bᵀ (n × n), of which rows and columns are dropped;
  n ≥ d   what is left of Σ₂ is Σ₂^½ (I − UᵀU) Σ₂^½ with U the left-out references in Σ₂'s own units: a few rows, whose
          singular values give the root of the bracket.
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
        self._reference_mean = torch.as_tensor(mean, dtype=torch.float64, device=device)
        covariance = torch.as_tensor(covariance, dtype=torch.float64, device=device)
        if self._reference_mean.shape != (d,) or covariance.shape != (d, d):
            raise ValueError(
                f"the features have {d} dimensions, but the reference's mean is {tuple(self._reference_mean.shape)} "
                f"and its covariance {tuple(covariance.shape)}: they come from different networks"
            )
        _require_finite(self._reference_mean, "the reference's mean")
        _require_finite(covariance, "the reference's covariance")
        self._difference = self._mean - self._reference_mean
        self._reference_trace = covariance.trace()
        self._few = n < d
        if self._few:
            centred = self._features.to(device, torch.float64) - self._mean
            self._products = centred @ covariance @ centred.T
            self._trace = centred.square().sum()
        else:
            self._eigenvalues, self._eigenvectors = torch.linalg.eigh(covariance)
            self._half = self._eigenvectors * self._eigenvalues.clamp(min=0.0).sqrt()
            scatter = _scatter(self._features, self._mean) if known is None else known.scatter.to(device)
            self._products = self._half.T @ scatter @ self._half
            self._trace = scatter.trace()

    def without(self, rows: Int64[Tensor, " m"]) -> float:
        """The distance of the features without those of `rows` (each once); at least two must be left."""
        n = len(self._features) - len(rows)
        if n < 2:
            raise ValueError(f"a covariance needs at least 2 images, and only {n} would be left")
        out, shift = self._left_out(rows, n)
        products = self._products_without(rows, out, shift, n) / (n - 1)
        # eigvalsh reads one triangle; averaging both keeps the result independent of which.
        trace_of_root = torch.linalg.eigvalsh((products + products.T) / 2).clamp(min=0.0).sqrt().sum()
        difference = self._difference + shift
        trace = self._trace_without(out, shift, n)
        return float(difference.square().sum() + trace + self._reference_trace - 2.0 * trace_of_root)

    def _left_out(self, rows: Tensor, n: int) -> tuple[Tensor, Tensor]:
        """The centred features of `rows`, and by how much the mean of the n others is another."""
        out = self._features[rows.to(self._features.device)].to(self._mean.device, torch.float64) - self._mean
        return out, out.sum(dim=0) / -n  # the centred features sum to zero

    def _trace_without(self, out: Tensor, shift: Tensor, n: int) -> Tensor:
        return (self._trace - out.square().sum() - n * shift.square().sum()) / (n - 1)

    def _products_without(self, rows: Tensor, out: Tensor, shift: Tensor, n: int) -> Tensor:
        if not len(rows):
            return self._products
        if not self._few:
            out, shift = out @ self._half, shift @ self._half
            return self._products - out.T @ out - n * torch.outer(shift, shift)
        return _centred_without(self._products, rows)


class PairedFrechetDistance:
    """The distance of features from their references' Gaussian, of all pairs or `without` some of them.

    Image i is paired with reference i, for the same prompt: left out, both are.

    Args:
        images: of all images' features from the references' mean and covariance.
        references: (N, D) features of the references, whose mean and covariance these are.

    Raises:
        ValueError: other references than images, a value that is not finite.
    """

    def __init__(self, images: FrechetDistance, references: Tensor | np.ndarray) -> None:
        self._images, self._mean = images, images._reference_mean
        self._references = _checked(references, "the references' features")
        self._n = len(self._references)
        if self._references.shape != images._features.shape:
            raise ValueError(f"{len(images._features)} images are not in pairs with {self._n} references")
        where = self._mean.device
        self._trace = self._images._reference_trace * (self._n - 1)
        if self._images._few:
            centred = self._images._features.to(where, torch.float64) - self._images._mean
            self._products = centred @ (self._references.to(where, torch.float64) - self._mean).T
        else:
            # Directions in which no reference differs from another have no units; nothing left out lies in them either.
            values = self._images._eigenvalues
            scale = (values * (self._n - 1)).clamp(min=0.0).rsqrt()
            scale[values <= values[-1] * len(values) * torch.finfo(torch.float64).eps] = 0.0
            self._in_units = self._images._eigenvectors * scale

    def without(self, rows: Int64[Tensor, " m"]) -> float:
        """The distance of the images without those of `rows` (each once) from the references without the same."""
        if not len(rows):
            return self._images.without(rows)
        n = self._n - len(rows)
        if n < 2:
            raise ValueError(f"a covariance needs at least 2 images, and only {n} would be left")
        images = self._images
        out, shift = images._left_out(rows, n)
        references_out = self._references[rows.to(self._references.device)].to(out.device, torch.float64) - self._mean
        references_shift = references_out.sum(dim=0) / -n
        if images._few:
            trace_of_root = torch.linalg.svdvals(_centred_without(self._products, rows)).sum() / (n - 1)
        else:
            products = images._products_without(rows, out, shift, n)
            # Both are divided by n − 1 now; the half that the products were made with was divided by N − 1.
            products = self._lessened(products, references_out, references_shift, n) * (self._n - 1) / (n - 1) ** 2
            trace_of_root = torch.linalg.eigvalsh((products + products.T) / 2).clamp(min=0.0).sqrt().sum()
        trace = images._trace_without(out, shift, n)
        reference_trace = (self._trace - references_out.square().sum() - n * references_shift.square().sum()) / (n - 1)
        difference = images._difference + shift - references_shift
        return float(difference.square().sum() + trace + reference_trace - 2.0 * trace_of_root)

    def _lessened(self, products: Tensor, out: Tensor, shift: Tensor, n: int) -> Tensor:
        """C P C of products P, with C = (I − UᵀU)^½ = I − R (1 − (1 − σ²)^½) Rᵀ, where U = L σ Rᵀ."""
        u = torch.cat([out, n**0.5 * shift[None]]) @ self._in_units
        _, sigma, right = torch.linalg.svd(u, full_matrices=False)
        removed = 1.0 - (1.0 - sigma.square()).clamp(min=0.0).sqrt()
        part = right @ products  # (k, D)
        less = right.T @ (removed[:, None] * part)
        within = right.T @ ((removed[:, None] * (part @ right.T) * removed) @ right)
        lessened: Tensor = products - less - less.T + within
        return lessened


def _centred_without(products: Tensor, rows: Tensor) -> Tensor:
    """Products A Bᵀ of centred A and B without `rows` of both: the rest has other means, and is centred again."""
    kept = torch.ones(len(products), dtype=torch.bool).index_fill(0, rows.cpu(), False).to(products.device)
    products = products[kept][:, kept]
    # Centring the products is centring the features.
    return products - products.mean(dim=0) - products.mean(dim=1)[:, None] + products.mean()


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
