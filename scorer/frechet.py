"""The Fréchet distance between two Gaussians fitted to network features.

Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", NeurIPS 2017, eq. 6:
    d² = |μ₁ − μ₂|² + Tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)

The matrix square root is never formed. Only its trace is needed, and Tr (Σ₁Σ₂)^½ is the sum of the square roots of the
eigenvalues of a symmetric positive semi-definite matrix, in two ways:
  n < d   A Σ₂ Aᵀ (n × n) with Σ₁ = AᵀA, A = (F − μ₁) / √(n−1): small, and exact for a rank-deficient Σ₁;
  n ≥ d   Σ₂^½ Σ₁ Σ₂^½ (d × d).
Real by construction, where scipy's sqrtm of the non-symmetric product needs seconds and returns complex noise.

To leave some images out, neither matrix is made again: in the first their rows and columns are dropped, from the second
their own products are subtracted (`Rest`).

To leave images out together with their references (`PairedFrechetDistance`), Σ₂ changes too, with Σ₂ = BᵀB:
  n < d   Tr (Σ₁Σ₂)^½ is the sum of the singular values of A Bᵀ (n × n), of which rows and columns are dropped;
  n ≥ d   what is left of Σ₂ is Σ₂^½ (I − UᵀU) Σ₂^½ with U the left-out references in Σ₂'s own units: a few rows, whose
          singular values give the root of the bracket.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

Array = Tensor | np.ndarray  # either is taken, and computed with as a tensor

CHUNK = 4096  # images in float64 at a time, so that features of any number, mapped from a file too, cost little memory


def feature_statistics(features: Array) -> tuple[Float64[Tensor, " d"], Float64[Tensor, "d d"]]:
    """Mean and covariance (divided by n − 1) of N×D features, in float64 on the features' device."""
    features = _checked(features, "features")
    mean = _mean(features)
    return mean, _scatter(features, mean) / (len(features) - 1)


def frechet_distance(features: Array, mean: Array, covariance: Array) -> float:
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
    return FrechetDistance(features, mean, covariance).of_all()


@dataclass(frozen=True)
class Rest:
    """The `n` features that are left without `out`, the centred ones (m, D) that are left out.

    All centred features sum to zero. So the mean of those left lies at `shift` = −Σ out / n, and their scatter is
    that of all − outᵀ out − n shift shiftᵀ; `trace` is that of their covariance.
    """

    n: int
    out: Float64[Tensor, "m d"]
    shift: Float64[Tensor, " d"]
    trace: Float64[Tensor, ""]


@dataclass(frozen=True)
class Centred:
    """(N, D) `features` less their `mean`, which lies where to compute; `trace` is that of their scatter."""

    features: Tensor
    mean: Float64[Tensor, " d"]
    trace: Float64[Tensor, ""]

    def without(self, rows: Int64[Tensor, " m"]) -> Rest:
        """What is left without those of `rows`. Raises ValueError where fewer than two are."""
        n = len(self.features) - len(rows)
        if n < 2:
            raise ValueError(f"a covariance needs at least 2 images, and only {n} would be left")
        out = self.features[rows.to(self.features.device)].to(self.mean.device, torch.float64) - self.mean
        shift = out.sum(dim=0) / -n
        trace = self.trace - out.square().sum() - n * shift.square().sum()
        return Rest(n, out, shift, trace / (n - 1))


class FrechetDistance:
    """The distance of `frechet_distance`, of all features or `without` some of them; takes and raises the same.

    `device` is where to compute, by default where the features are; they are moved there in parts.

    Attributes:
        images: the features, centred.
        reference_mean: (D,).
        reference_trace: of the reference's covariance Σ₂.
        few: whether they are fewer than dimensions; the next ones are there only where they are not.
        eigenvalues, eigenvectors: of Σ₂, ascending, (D,) and in columns (D, D).
        root: H = V Λ^½ (D, D) of those, so that H Hᵀ = Σ₂: in place of Σ₂^½, from which it differs by a rotation.
    """

    def __init__(self, features: Array, mean: Array, covariance: Array, device: torch.device | None = None) -> None:
        features = _checked(features, "features")
        device = device or features.device
        own_mean = _mean(features).to(device)
        n, d = features.shape
        self.reference_mean = torch.as_tensor(mean, dtype=torch.float64, device=device)
        covariance = torch.as_tensor(covariance, dtype=torch.float64, device=device)
        if self.reference_mean.shape != (d,) or covariance.shape != (d, d):
            raise ValueError(
                f"the features have {d} dimensions, but the reference's mean is {tuple(self.reference_mean.shape)} "
                f"and its covariance {tuple(covariance.shape)}: they come from different networks"
            )
        _require_finite(self.reference_mean, "the reference's mean")
        _require_finite(covariance, "the reference's covariance")
        self.reference_trace = covariance.trace()
        self.few = n < d
        if self.few:
            centred = features.to(device, torch.float64) - own_mean
            self._gram = centred @ covariance @ centred.T  # (n, n): A Σ₂ Aᵀ but for the division by n − 1
            trace = centred.square().sum()
        else:
            self.eigenvalues, self.eigenvectors = torch.linalg.eigh(covariance)
            self.root: Tensor = self.eigenvectors * self.eigenvalues.clamp(min=0.0).sqrt()
            scatter = _scatter(features, own_mean)
            self._scatter: Tensor = self.root.T @ scatter @ self.root  # (d, d): Hᵀ Σ₁ H but for the division by n − 1
            trace = scatter.trace()
        self.images = Centred(features, own_mean, trace)

    def of_all(self) -> float:
        return self.without(torch.empty(0, dtype=torch.int64))

    def without(self, rows: Int64[Tensor, " m"]) -> float:
        """The distance of the features without those of `rows` (each once); at least two must be left."""
        rest = self.images.without(rows)
        products = _centred_without(self._gram, rows) if self.few else self.scatter_of(rest)
        trace_of_root = _trace_of_root(products / (rest.n - 1))
        difference = self.images.mean - self.reference_mean + rest.shift
        return float(difference.square().sum() + rest.trace + self.reference_trace - 2.0 * trace_of_root)

    def scatter_of(self, rest: Rest) -> Float64[Tensor, "d d"]:
        """Hᵀ S H of the scatter S of the images that are left; where they are not `few`."""
        if not len(rest.out):
            return self._scatter
        out, shift = rest.out @ self.root, rest.shift @ self.root
        return self._scatter - out.T @ out - rest.n * torch.outer(shift, shift)


class PairedFrechetDistance:
    """The distance of features from their references' Gaussian, of all pairs or `without` some of them.

    Image i is paired with reference i, for the same prompt: left out, both are.

    Args:
        distance: of all images' features from the references' mean and covariance.
        references: (N, D) features of the references, whose mean and covariance these are.

    Raises:
        ValueError: other references than images, a value that is not finite.
    """

    def __init__(self, distance: FrechetDistance, references: Array) -> None:
        references = _checked(references, "the references' features")
        images, mean = distance.images, distance.reference_mean
        if references.shape != images.features.shape:
            raise ValueError(f"{len(images.features)} images are not in pairs with {len(references)} references")
        self._distance, self._size = distance, len(references)
        self._references = Centred(references, mean, distance.reference_trace * (self._size - 1))
        if distance.few:
            centred = images.features.to(mean.device, torch.float64) - images.mean
            # (n, n): A Bᵀ but for the divisions by the roots of n − 1
            self._cross = centred @ (references.to(mean.device, torch.float64) - mean).T
        else:
            # Directions in which no reference differs from another have no units; nothing left out lies in them either.
            values = distance.eigenvalues
            scale = (values * (self._size - 1)).clamp(min=0.0).rsqrt()
            scale[values <= values[-1] * len(values) * torch.finfo(torch.float64).eps] = 0.0
            self._units = distance.eigenvectors * scale  # (d, d): V (Λ (N − 1))^−½

    def without(self, rows: Int64[Tensor, " m"]) -> float:
        """The distance of the images without those of `rows` (each once) from the references without the same."""
        if not len(rows):
            return self._distance.of_all()
        images, references = self._distance.images.without(rows), self._references.without(rows)
        n = images.n
        if self._distance.few:
            trace_of_root = torch.linalg.svdvals(_centred_without(self._cross, rows)).sum() / (n - 1)
        else:
            # The references left have the scatter (N − 1) H C² Hᵀ, with C² = I − UᵀU. Divided by n − 1, as the images'
            # scatter S is, Σ₂Σ₁ = (N − 1) H C C Hᵀ S / (n − 1)²: it has the eigenvalues of C (Hᵀ S H) C times that.
            products = self._between_roots(self._distance.scatter_of(images), references)
            trace_of_root = _trace_of_root(products * (self._size - 1) / (n - 1) ** 2)
        difference = self._distance.images.mean - self._distance.reference_mean + images.shift - references.shift
        return float(difference.square().sum() + images.trace + references.trace - 2.0 * trace_of_root)

    def _between_roots(self, products: Float64[Tensor, "d d"], references: Rest) -> Float64[Tensor, "d d"]:
        """C P C of products P, with C = (I − UᵀU)^½ and U (m + 1, d) what the references lose, in Σ₂'s units.

        Of U = L σ Rᵀ, UᵀU = R σ² Rᵀ. So I − UᵀU is 1 − σ² in the directions R and 1 in all others, and its root is
        C = I − R (1 − (1 − σ²)^½) Rᵀ.
        """
        lost = torch.cat([references.out, references.n**0.5 * references.shift[None]]) @ self._units
        _, sigma, right = torch.linalg.svd(lost, full_matrices=False)
        removed = 1.0 - (1.0 - sigma.square()).clamp(min=0.0).sqrt()
        part = right @ products  # (k, D)
        less = right.T @ (removed[:, None] * part)
        within = right.T @ ((removed[:, None] * (part @ right.T) * removed) @ right)
        result: Tensor = products - less - less.T + within
        return result


def _trace_of_root(products: Tensor) -> Float64[Tensor, ""]:
    """The trace of the root of a symmetric positive semi-definite matrix, but for rounding."""
    # eigvalsh reads one triangle; averaging both keeps the result independent of which.
    trace: Tensor = torch.linalg.eigvalsh((products + products.T) / 2).clamp(min=0.0).sqrt().sum()
    return trace


def _centred_without(products: Tensor, rows: Tensor) -> Tensor:
    """Products A Bᵀ of centred A and B without `rows` of both: the rest has other means, and is centred again."""
    if not len(rows):
        return products
    kept = torch.ones(len(products), dtype=torch.bool).index_fill(0, rows.cpu(), False).to(products.device)
    products = products[kept][:, kept]
    # Centring the products is centring the features.
    return products - products.mean(dim=0) - products.mean(dim=1)[:, None] + products.mean()


def _checked(features: Array, what: str) -> Tensor:
    features = torch.as_tensor(features)
    if features.ndim != 2:
        raise ValueError(f"{what} must be N×D, got shape {tuple(features.shape)}")
    if len(features) < 2:
        raise ValueError(f"a covariance needs at least 2 images, got {len(features)}")
    for part in features.split(CHUNK):
        _require_finite(part, what)
    return features


def _mean(features: Tensor) -> Float64[Tensor, " d"]:
    total = torch.zeros(features.shape[1], dtype=torch.float64, device=features.device)
    for part in features.split(CHUNK):
        total += part.double().sum(dim=0)
    return total / len(features)


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
