"""How sure a score is: 95 % intervals.

An interval says where the score would lie, 95 times in 100, had the competition asked the same generator for other
prompts of the same kind, and compared with these prompts' own references. What it draws anew are families of prompts
(scorer/families.py), never single images. Each metric's target is its expected value at this number of images: the FID
of 1063 images is larger than that of 50,000, and its interval is around the former.

  CLIP-I, CLIP-T, PSNR, SSIM  bootstrap over families, the same resamples for all
  FID, KID                    jackknife over 20 groups of families, each left out with its references: resampling with
                              replacement would repeat images, which alone raises a FID, and leaving out one family at
                              a time costs a decomposition each
  IS                          the spread of its ten splits, and what they share because they share families

Where the FID is against precomputed statistics, of more images than the prompts' references or of others, these stay as
they are: then the interval is for other prompts, and the same statistics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from scipy.special import ndtr, stdtrit
from torch import Tensor

from scorer.families import SEED, Families

LEVEL = 0.95
RESAMPLES = 2000
BLOCK = 2**19  # numbers drawn at a time


def bootstrap_intervals(
    columns: Sequence[Float[Tensor, " n"]], families: Families, resamples: int = RESAMPLES, seed: int = SEED
) -> list[tuple[float, float]]:
    """The interval of each column's mean, by resampling families (Davison & Hinkley 1997, section 3.8).

    A resample draws as many families as there are, with replacement and each with all its images, the same for every
    column, so that the metrics stay paired; its mean is the ratio of the drawn families' sum and number of images. For
    few families the percentiles alone are too near: a family's sum is part of the mean that it is compared with, and
    they have the normal distribution's tails. They are moved outwards as Hesterberg proposes ("expanded percentile
    interval", arXiv 1411.5279), here by what families of these sizes need.

    Args:
        columns: (N,) each: the values of N images in one metric.
        families: of these images; two or more.
        resamples: how many; 2000 know the ends of an interval to about 3 % of its half-width.

    Raises:
        ValueError: fewer than two families, or a value that is not finite.
    """
    values = [column.double().cpu().numpy() for column in columns]
    n = families.count
    if n < 2:
        raise ValueError(f"resampling needs at least 2 families, got {n}")
    if not all(np.isfinite(column).all() for column in values):
        raise ValueError("per-image values: some are not finite")
    centres = [column.mean() for column in values]
    # Column by column, so that an interval does not depend on which other metrics there are, not even by rounding.
    deviations = [
        np.bincount(families.labels, weights=column - centre, minlength=n)
        for column, centre in zip(values, centres, strict=True)
    ]
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, len(columns)))
    together = max(1, BLOCK // n)
    for start in range(0, resamples, together):
        rows = means[start : start + together]
        # How often each family was drawn, instead of the drawn values: the columns are read in order.
        drawn = rng.integers(0, n, (len(rows), n)) + n * np.arange(len(rows))[:, None]
        times = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.float64)
        # einsum, because BLAS would start threads for each of these small sums.
        images = np.einsum("rn,n->r", times, families.sizes)
        for index, column in enumerate(deviations):
            rows[:, index] = np.einsum("rn,n->r", times, column) / images
    tail = float(ndtr(-families.inflation * t_quantile(families.degrees_of_freedom)))
    ends = np.quantile(means, [tail, 1.0 - tail], axis=0)
    return [(float(c + low), float(c + high)) for c, low, high in zip(centres, *ends, strict=True)]


def jackknife(
    without: Callable[[Int64[Tensor, " m"]], float], families: Families, floor: float = 0.0
) -> tuple[float, float | None, float | None]:
    """A squared distance, and the ends of its interval (None where there are too few families for one).

    The root of such a distance varies by about the same whatever its size; the distance itself varies less where it
    happens to be small, and an interval made from it would too often lie below its target. So the interval is made on
    the scale of the root.

    Args:
        without: the distance of the images but those whose rows it is given.
        floor: what the distance cannot be less than.
    """
    value = without(torch.empty(0, dtype=torch.int64))
    if families.why_too_few:
        return value, None, None
    groups = families.groups()
    root, *roots = (math.sqrt(max(distance - floor, 0.0)) for distance in (value, *map(without, groups)))
    low, high = jackknife_interval(root, roots, [len(group) for group in groups])
    return value, floor + max(low, 0.0) ** 2, floor + high**2


def jackknife_interval(value: float, left_out: Sequence[float], group_sizes: Sequence[int]) -> tuple[float, float]:
    """The interval of a statistic from its values with each group of images left out, two groups or more.

    The delete-m_j jackknife, for groups of unequal size (Busing, Meijer & van der Leeden, "Delete-m jackknife for
    unequal m", Statistics and Computing 9, 1999), with the quantile of Student's t for one degree of freedom less than
    groups. Only the variance is used: the jackknife's own estimate corrects a bias in 1/N, that is, aims at N = ∞.
    """
    half = t_quantile(len(left_out) - 1) * math.sqrt(float(_jackknife_covariance(value, left_out, group_sizes)))
    return value - half, value + half


def splits_interval(
    split_values: Sequence[float] | np.ndarray, left_out: Float64[np.ndarray, "g s"], group_sizes: Sequence[int]
) -> tuple[float, float]:
    """The interval of the mean over splits that share no image, but families: the Inception Score's.

    The variance of the mean of S splits is that between them, divided by S, and the covariance of two splits, which is
    that of the families they share; without families it is 0, and the interval is Student's over the splits. The
    covariance is estimated by the jackknife. A jackknife of the mean itself is 1.3 times too wide: it counts the curved
    part of a statistic twice (Efron & Stein, Annals of Statistics 9, 1981), and of the score of a hundred images that
    part is the larger one; but two splits, whose images fall to them by chance, do not share it.

    Args:
        split_values: (S,) of all images.
        left_out: (G, S) without each group of families.
        group_sizes: (G,) number of images in each group, of all splits together.
    """
    values = np.asarray(split_values, dtype=np.float64)
    splits = len(values)
    covariance = _jackknife_covariance(values, left_out, group_sizes)
    shared = max(float(covariance.sum() - np.trace(covariance)) / (splits * (splits - 1)), 0.0)
    own = float(values.var(ddof=1)) / splits
    variance = own + shared
    # Satterthwaite's: of the two variances' sum.
    freedom = variance**2 / (own**2 / (splits - 1) + shared**2 / (len(left_out) - 1)) if variance else splits - 1
    half = t_quantile(freedom) * math.sqrt(variance)
    return float(values.mean()) - half, float(values.mean()) + half


def _jackknife_covariance(
    value: float | Float64[np.ndarray, " s"], left_out: object, group_sizes: Sequence[int]
) -> np.float64 | Float64[np.ndarray, "s s"]:
    """The delete-m_j jackknife's variance of a statistic, or the covariance (S, S) of S of them."""
    without = np.asarray(left_out, dtype=np.float64)
    ratio = (sum(group_sizes) / np.asarray(group_sizes, dtype=np.float64)).reshape(-1, *[1] * (without.ndim - 1))
    pseudovalues = ratio * value - (ratio - 1.0) * without
    estimate = len(without) * value - ((1.0 - 1.0 / ratio) * without).sum(axis=0)
    scaled = (pseudovalues - estimate) / np.sqrt(ratio - 1.0)
    covariance: np.ndarray = scaled.T @ scaled / len(without)
    return covariance


def t_quantile(degrees_of_freedom: float) -> float:
    """The factor of the standard error in a two-sided interval: 2.093 for 19 degrees of freedom."""
    return float(stdtrit(degrees_of_freedom, 0.5 + LEVEL / 2))
