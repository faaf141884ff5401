"""How far two float32 results may be apart for their rounding alone, whatever chip adds them up and in which order."""

from __future__ import annotations

import math

import torch
from torch import nn

UNIT_ROUNDOFF = 2.0**-24  # of float32


def tolerance(terms: int, scale: float) -> float:
    """For sums of so many products in all, one after the other, whose results are at most about `scale`.

    Rounding errors are of either sign: n of them add up to √n u, not to n u (Higham & Mary, A new approach to
    probabilistic rounding error analysis, SIAM J. Sci. Comput. 41, 2019, theorem 2.4).
    """
    return UNIT_ROUNDOFF * math.sqrt(terms) * scale


def terms_of(network: nn.Module) -> int:
    """The products that one output value sums up on its way through all layers: each layer's inputs to one output."""
    return sum(weight[0].numel() for weight in network.parameters() if weight.ndim > 1)


def assert_rounded(ours: torch.Tensor, theirs: torch.Tensor, terms: int) -> None:
    """That both are the same sums of `terms` products, as far as float32 can tell."""
    scale = float(theirs.abs().max())
    torch.testing.assert_close(ours, theirs, atol=tolerance(terms, scale), rtol=0)
