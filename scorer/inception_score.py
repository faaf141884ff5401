"""The Inception Score: are the images recognisable, and of many kinds?

Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016, section 4:
    IS = exp E_x KL(p(y|x) ‖ p(y)), averaged over splits.

The score depends on the number of images, of splits, and on which image falls into which split, so all three are
fixed: images in prompt order, shuffled with seed 2020, ten splits at i·N//10 (torch-fidelity's choices).
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

SPLITS = 10
SHUFFLE_SEED = 2020


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
    n = len(log_probabilities)
    if n < splits:
        raise ValueError(f"the Inception Score with {splits} splits needs at least {splits} images, got {n}")
    log_p = log_probabilities.double()
    if torch.isnan(log_p).any():
        raise ValueError("class probabilities: some values are NaN")
    order = np.random.RandomState(shuffle_seed).permutation(n)
    log_p = log_p[torch.from_numpy(order).to(log_p.device)]
    p = log_p.exp()
    scores = []
    for i in range(splits):
        rows = slice(i * n // splits, (i + 1) * n // splits)
        marginal = p[rows].mean(dim=0)
        # E KL(p ‖ q) = E Σ p log p − Σ q log q, with 0 log 0 = 0.
        divergence = torch.special.entr(marginal).sum() - torch.special.entr(p[rows]).sum(dim=1).mean()
        scores.append(divergence.exp())
    result = torch.stack(scores)
    return float(result.mean()), float(result.std(correction=0))
