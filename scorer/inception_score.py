"""The Inception Score: are the images recognisable, and of many kinds?

Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016, section 4:
    IS = exp E_x KL(p(y|x) ‖ p(y)), averaged over splits.

The score depends on the number of images, of splits, and on which image falls into which split, so all three are
fixed: images in prompt order, shuffled with seed 2020, ten splits at i·N//10 (torch-fidelity's choices).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

SPLITS = 10
SHUFFLE_SEED = 2020
CHUNK = 4096  # images whose probabilities are held at a time: a thousand float64 each


def inception_score(
    log_probabilities: Float[Tensor, "n k"], splits: int = SPLITS, shuffle_seed: int = SHUFFLE_SEED
) -> tuple[float, float]:
    """Mean and standard deviation (ddof 0) of the Inception Score over the splits, in float64.

    Args:
        log_probabilities: (N, K) natural logarithms of each image's class probabilities, in prompt order; −inf for a
            probability of 0 is fine.
        splits: how many; N must be at least that.
        shuffle_seed: of numpy's legacy RandomState, whose sequence is frozen.

    Raises:
        ValueError: fewer images than splits, or NaN.
    """
    scores = split_scores(log_probabilities, lambda log_p: log_p, splits, shuffle_seed)
    return float(scores.mean()), float(scores.std(correction=0))


def split_scores(
    features: Float[Tensor, "n d"],
    log_probabilities: Callable[[Tensor], Tensor],
    splits: int = SPLITS,
    shuffle_seed: int = SHUFFLE_SEED,
    device: torch.device | None = None,
) -> Float64[Tensor, " splits"]:
    """The Inception Score of each split.

    Args:
        features: (N, D) in prompt order, on any device; may be mapped from a file.
        log_probabilities: makes (B, K) natural logarithms of class probabilities of (B, D) features.
        splits: as for `inception_score`, which says the rest.
        shuffle_seed: as there.
        device: where to compute, by default where the features are; they are moved there in parts.
    """
    n = len(features)
    if n < splits:
        raise ValueError(f"the Inception Score with {splits} splits needs at least {splits} images, got {n}")
    device = device or features.device
    order = torch.from_numpy(np.random.RandomState(shuffle_seed).permutation(n)).to(features.device)
    scores = []
    for i in range(splits):
        rows = order[i * n // splits : (i + 1) * n // splits]
        # E KL(p ‖ q) = E Σ p log p − Σ q log q, with q = E p and 0 log 0 = 0.
        total: Tensor | float = 0.0
        entropy: Tensor | float = 0.0
        for part in rows.split(CHUNK):
            p = log_probabilities(features[part].to(device)).double().exp()
            total = total + p.sum(dim=0)
            entropy = entropy + torch.special.entr(p).sum()
        divergence = torch.special.entr(total / len(rows)).sum() - entropy / len(rows)
        scores.append(divergence.exp())
    result = torch.stack(scores)
    if torch.isnan(result).any():
        raise ValueError("class probabilities: some values are NaN")
    return result
