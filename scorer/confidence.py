"""How sure a score is: 95 % intervals.

An interval says where the score would lie, 95 times in 100, had the same generator drawn other images for other prompts
of the same kind. The references' features are fixed. Each metric's target is its expected value at this number of
images: the FID of 1063 images is larger than that of 50,000, and its interval is around the former.

  CLIP-I, CLIP-T, PSNR, SSIM  bootstrap over images, the same resamples for all
  FID, KID                    jackknife over 20 groups of images: resampling with replacement would repeat images, which
                              alone raises a FID, and leaving out one image at a time costs a decomposition per image
  IS                          Student's t over its ten splits, which share no image
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float64, Int64
from scipy.special import ndtr, stdtrit
from torch import Tensor

LEVEL = 0.95
GROUPS = 20
RESAMPLES = 2000
BLOCK = 2**19  # numbers drawn at a time
SEED = 2020  # of the groups and the resamples, so that a submission's intervals are the same in every run


def bootstrap_intervals(
    columns: Sequence[Float64[Tensor, " n"]], resamples: int = RESAMPLES, seed: int = SEED
) -> list[tuple[float, float]]:
    """The interval of each column's mean, by resampling images (Efron & Tibshirani 1993, section 13.3).

    A resample draws n images with replacement, the same for every column, so that the metrics stay paired. For small n
    the percentiles alone are too near: they divide by n, and have the normal distribution's tails. They are moved
    outwards as Hesterberg proposes ("expanded percentile interval", arXiv 1411.5279).

    Args:
        columns: (N,) each, N ≥ 2: the values of N images in one metric.
        resamples: how many; 2000 know the ends of an interval to about 3 % of its half-width.

    Raises:
        ValueError: fewer than two images, or a value that is not finite.
    """
    values = [column.double().cpu().numpy() for column in columns]
    n = len(values[0])
    if n < 2:
        raise ValueError(f"resampling needs at least 2 images, got {n}")
    if not all(np.isfinite(column).all() for column in values):
        raise ValueError("per-image values: some are not finite")
    centres = [column.mean() for column in values]
    # Column by column, so that an interval does not depend on which other metrics there are, not even by rounding.
    deviations = [column - centre for column, centre in zip(values, centres, strict=True)]
    rng = np.random.default_rng(seed)
    sums = np.empty((resamples, len(columns)))
    together = max(1, BLOCK // n)
    for start in range(0, resamples, together):
        rows = sums[start : start + together]
        # How often each image was drawn, instead of the drawn values: the columns are read in order.
        drawn = rng.integers(0, n, (len(rows), n)) + n * np.arange(len(rows))[:, None]
        times = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.float64)
        for index, column in enumerate(deviations):
            # einsum, because BLAS would start threads for each of these small sums.
            rows[:, index] = np.einsum("rn,n->r", times, column)
    tail = float(ndtr(-math.sqrt(n / (n - 1)) * t_quantile(n - 1)))
    ends = np.quantile(sums / n, [tail, 1.0 - tail], axis=0)
    return [(float(c + low), float(c + high)) for c, low, high in zip(centres, *ends, strict=True)]


def image_groups(n: int, groups: int = GROUPS, seed: int = SEED) -> list[Int64[Tensor, " m"]]:
    """The images 0 … n−1 in `groups` groups, whose sizes differ by at most one: each a sorted tensor.

    Shuffled, so that neighbouring prompts, often alike, fall into different groups.
    """
    order = np.random.default_rng(seed).permutation(n)
    return [torch.from_numpy(np.sort(part)) for part in np.array_split(order, groups)]


def jackknife(
    without: Callable[[Int64[Tensor, " m"]], float], n: int, floor: float = 0.0
) -> tuple[float, float | None, float | None]:
    """A squared distance of `n` images, and the ends of its interval (None where there are fewer images than groups).

    The root of such a distance varies by about the same whatever its size; the distance itself varies less where it
    happens to be small, and an interval made from it would too often lie below its target. So the interval is made on
    the scale of the root.

    Args:
        without: the distance of the images but those whose rows it is given.
        n: how many images there are.
        floor: the least value that the distance can have.
    """
    value = without(torch.empty(0, dtype=torch.int64))
    if n < GROUPS:
        return value, None, None
    groups = image_groups(n)
    root, *roots = (math.sqrt(max(distance - floor, 0.0)) for distance in (value, *map(without, groups)))
    low, high = jackknife_interval(root, roots, [len(group) for group in groups])
    return value, floor + max(low, 0.0) ** 2, floor + high**2


def jackknife_interval(value: float, left_out: Sequence[float], group_sizes: Sequence[int]) -> tuple[float, float]:
    """The interval of a statistic from its values with each group of images left out, two groups or more.

    The delete-m_j jackknife, for groups of unequal size (Busing, Meijer & van der Leeden, "Delete-m jackknife for
    unequal m", Statistics and Computing 9, 1999), with the quantile of Student's t for one degree of freedom less than
    groups. Only the variance is used: the jackknife's own estimate corrects a bias in 1/N, that is, aims at N = ∞.

    Args:
        value: of all images.
        left_out: without each group.
        group_sizes: number of images in each group.
    """
    groups, n = len(left_out), sum(group_sizes)
    without = np.asarray(left_out, dtype=np.float64)
    ratio = n / np.asarray(group_sizes, dtype=np.float64)
    pseudovalues = ratio * value - (ratio - 1.0) * without
    estimate = groups * value - ((1.0 - 1.0 / ratio) * without).sum()
    variance = ((pseudovalues - estimate) ** 2 / (ratio - 1.0)).mean()
    half = t_quantile(groups - 1) * math.sqrt(variance)
    return value - half, value + half


def splits_interval(split_values: Sequence[float]) -> tuple[float, float]:
    """Student's t interval of the mean of two or more independent values, such as the Inception Score's splits."""
    values = np.asarray(split_values, dtype=np.float64)
    mean = float(values.mean())
    half = t_quantile(len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return mean - half, mean + half


def t_quantile(degrees_of_freedom: int) -> float:
    """The factor of the standard error in a two-sided interval: 2.093 for 19 degrees of freedom."""
    return float(stdtrit(degrees_of_freedom, 0.5 + LEVEL / 2))
