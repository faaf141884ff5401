"""The Fréchet distance between two Gaussians fitted to network features.

Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", NeurIPS 2017, eq. 6:
    d² = |μ₁ − μ₂|² + Tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)

The matrix square root is never formed. Only its trace is needed, and Tr (Σ₁Σ₂)^½ is the sum of the square roots of the
eigenvalues of a symmetric positive semi-definite matrix, in two ways:
  n < d   A Σ₂ Aᵀ (n × n) with Σ₁ = AᵀA, A = (F − μ₁) / √(n−1): small, and exact for a rank-deficient Σ₁;
  n ≥ d   Σ₂^½ Σ₁ Σ₂^½ (d × d).
Real by construction, where scipy's sqrtm of the non-symmetric product needs seconds and returns complex noise.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor


def feature_statistics(features: Tensor | np.ndarray) -> tuple[Float64[Tensor, " d"], Float64[Tensor, "d d"]]:
    """Mean and covariance (divided by n − 1) of N×D features, in float64 on the features' device."""
    mean, root = _centred_root(features, "features")
    return mean, root.T @ root


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
    generated_mean, root = _centred_root(features, "features")
    n, d = root.shape
    mean = torch.as_tensor(mean, dtype=torch.float64, device=root.device)
    covariance = torch.as_tensor(covariance, dtype=torch.float64, device=root.device)
    if mean.shape != (d,) or covariance.shape != (d, d):
        raise ValueError(
            f"the features have {d} dimensions, but the reference's mean is {tuple(mean.shape)} "
            f"and its covariance {tuple(covariance.shape)}: they come from different networks"
        )
    _require_finite(mean, "the reference's mean")
    _require_finite(covariance, "the reference's covariance")

    if n < d:
        product = root @ covariance @ root.T
    else:
        eigenvalues, eigenvectors = torch.linalg.eigh(covariance)
        half = eigenvectors * eigenvalues.clamp(min=0.0).sqrt()
        product = half.T @ (root.T @ root) @ half
    # eigvalsh reads one triangle; averaging both keeps the result independent of which.
    trace_of_root = torch.linalg.eigvalsh((product + product.T) / 2).clamp(min=0.0).sqrt().sum()

    difference = generated_mean - mean
    distance = difference.dot(difference) + root.square().sum() + covariance.trace() - 2.0 * trace_of_root
    return float(distance)


def _centred_root(features: Tensor | np.ndarray, what: str) -> tuple[Tensor, Tensor]:
    """Mean μ (D,) and A = (F − μ) / √(n−1) (N, D), so that the covariance is AᵀA."""
    features = torch.as_tensor(features, dtype=torch.float64)
    if features.ndim != 2:
        raise ValueError(f"{what} must be N×D, got shape {tuple(features.shape)}")
    if len(features) < 2:
        raise ValueError(f"a covariance needs at least 2 images, got {len(features)}")
    _require_finite(features, what)
    mean = features.mean(dim=0)
    return mean, (features - mean) / math.sqrt(len(features) - 1)


def _require_finite(values: Tensor, what: str) -> None:
    # Checked before any decomposition: a single NaN makes some of them run for minutes instead of failing.
    if not torch.isfinite(values).all():
        raise ValueError(f"{what}: {int((~torch.isfinite(values)).sum())} values are NaN or infinite")
