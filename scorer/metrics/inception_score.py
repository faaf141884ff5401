"""The Inception Score: are the images recognisable, and of many kinds?

Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016, section 4:
    IS = exp E_x KL(p(y|x) ‖ p(y)), averaged over splits.

The score depends on the number of images, of splits, and on which image falls into which split, so all three are
fixed: images in prompt order, shuffled with seed 2020, ten splits at i·N//10 (torch-fidelity's choices).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from scorer.confidence import splits_interval
from scorer.families import Families
from scorer.measure import Measured
from scorer.metrics.base import Results, ScoredMetric, joined
from submission.scorecard import Score

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
    scores = SplitScores(log_probabilities, lambda log_p: log_p, splits, shuffle_seed).splits
    return float(scores.mean()), float(scores.std(correction=0))


class SplitScores:
    """The Inception Score of each split, `splits` (S,) float64, also `without` some images.

    Args:
        features: (N, D) in prompt order, on any device; may be mapped from a file.
        log_probabilities: makes (B, K) natural logarithms of class probabilities of (B, D) features.
        splits, shuffle_seed: as for `inception_score`, which says the rest.
        device: where to compute, by default where the features are; they are moved there in parts.
    """

    def __init__(
        self,
        features: Float[Tensor, "n d"],
        log_probabilities: Callable[[Tensor], Tensor],
        splits: int = SPLITS,
        shuffle_seed: int = SHUFFLE_SEED,
        device: torch.device | None = None,
    ) -> None:
        n = len(features)
        if n < splits:
            raise ValueError(f"the Inception Score with {splits} splits needs at least {splits} images, got {n}")
        self._features, self._log_probabilities = features, log_probabilities
        self._device = device or features.device
        order = torch.from_numpy(np.random.RandomState(shuffle_seed).permutation(n))
        ends = torch.tensor([(i + 1) * n // splits for i in range(splits)])
        self._split_of = torch.empty(n, dtype=torch.int64)
        self._split_of[order] = torch.bucketize(torch.arange(n), ends, right=True)
        self._sums = self._summed(torch.arange(n), splits)
        self.splits: Float64[Tensor, " splits"] = _scores(*self._sums)
        if torch.isnan(self.splits).any():
            raise ValueError("class probabilities: some values are NaN")

    def without(self, rows: Int64[Tensor, " k"]) -> Float64[Tensor, " splits"]:
        """The scores of the splits, each without those of its images that are in `rows`: one or more, each once.

        Every split must have an image left (see `spares`).
        """
        left_out = self._summed(rows, len(self.splits))
        counts, totals, entropies = (all_of - out for all_of, out in zip(self._sums, left_out, strict=True))
        # Rounding leaves −1e-17 or so of a class that only left-out images were of.
        return _scores(counts, totals.clamp(min=0.0), entropies)

    def spares(self, groups: Sequence[Int64[Tensor, " _"]]) -> bool:
        """Whether every split has an image left without any one of `groups` of images."""
        counts = [torch.bincount(self._split_of[rows], minlength=len(self.splits)) for rows in groups]
        return bool((torch.bincount(self._split_of) - torch.stack(counts) > 0).all())

    def _summed(self, rows: Tensor, splits: int) -> tuple[Tensor, Tensor, Tensor]:
        """Of each split's images among `rows`, one or more: their number (S,), Σ p (S, K) and Σ of p's entropy (S,)."""
        counts = totals = entropies = torch.zeros((), dtype=torch.float64, device=self._device)
        for part in rows.split(CHUNK):
            features = self._features[part.to(self._features.device)].to(self._device)
            p = self._log_probabilities(features).double().exp()
            # (B, S), one where an image is of a split. Products, because index_add_ sums in any order on a GPU.
            member = (self._split_of[part][:, None] == torch.arange(splits)).to(self._device, torch.float64)
            counts = counts + member.sum(dim=0)
            totals = totals + member.T @ p
            entropies = entropies + member.T @ torch.special.entr(p).sum(dim=1)
        return counts, totals, entropies


def _scores(counts: Tensor, totals: Tensor, entropies: Tensor) -> Float64[Tensor, " splits"]:
    # E KL(p ‖ q) = E Σ p log p − Σ q log q, with q = E p and 0 log 0 = 0.
    divergence: Tensor = torch.special.entr(totals / counts[:, None]).sum(dim=1) - entropies / counts
    return divergence.clamp(min=0.0).exp()  # rounding leaves −1e-15 or so between equal images


class InceptionScore(ScoredMetric):
    """The mean over the splits of images in the order in which they came; takes what `SplitScores` takes."""

    names = ("is",)
    states = ("inception",)
    fewest = SPLITS
    too_few = f"{SPLITS} splits need at least {SPLITS} images, there are {{n}}"
    inception: list[Tensor]

    def __init__(self, log_probabilities: Callable[[Tensor], Tensor], **options: Any) -> None:
        super().__init__(**options)
        self._log_probabilities = log_probabilities

    @classmethod
    def of(cls, measured: Measured) -> Self:
        """With the classes of the competition's Inception."""
        return cls(measured.log_probabilities, sync_on_compute=False)

    def update(self, inception: Float[Tensor, "b d"]) -> None:
        self.inception.append(inception)

    def compute(self) -> Float64[Tensor, ""]:
        return self._scores().splits.mean()

    def results(self, families: Families) -> Results:
        """The mean with its interval, and the splits' standard deviation."""
        score = self._scores()
        value, (low, high) = float(score.splits.mean()), (None, None)
        reason, groups = families.why_too_few, families.groups()
        if not reason and score.spares(groups):
            left_out = torch.stack([score.without(group) for group in groups])
            low, high = splits_interval(score.splits.tolist(), left_out.cpu().numpy(), [len(group) for group in groups])
            low = max(low, 1.0)
        elif not reason:
            reason = "no interval: without some families of prompts, a split would have no image"
        return Results({"is": Score(value, low, high, reason)}, {"is_std": float(score.splits.std(correction=0))})

    def _scores(self) -> SplitScores:
        return SplitScores(joined(self.inception), self._log_probabilities, device=self.device)
