"""The metrics, a row each: tiers, marks, bounds, scorecards, boards and tables derive from it what they know of them.

How each is computed is in `scorer/metrics/`, a file of the same name.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import overload

import numpy as np


@dataclass(frozen=True)
class Metric:
    """A metric's name in files, its label for people, its direction, the digits it is printed with, its possible range.

    The range is that of the metric itself: a CLIP-T of 27 is a cosine times 100, and an error wherever it stands.
    """

    name: str
    label: str
    higher_is_better: bool
    digits: int
    low: float = -inf
    high: float = inf

    @property
    def arrow(self) -> str:
        """The direction in which the metric gets better."""
        return "↑" if self.higher_is_better else "↓"

    def text(self, value: float | None, none: str = "–") -> str:
        """A value with the metric's digits, which rounding can leave as −0.00; `none` where there is none."""
        return none if value is None else f"{value:.{self.digits}f}"

    def limit(self, threshold: float) -> str:
        """A threshold, such as `≤ 90.00`."""
        return f"{'≥' if self.higher_is_better else '≤'} {self.text(threshold)}"

    def interval(self, low: float | None, high: float | None) -> str:
        """Such as `88.10 … 91.20`; empty where there is none."""
        return "" if low is None or high is None else f"{self.text(low)} … {self.text(high)}"

    @overload
    def passes(self, value: float, threshold: float) -> bool: ...

    @overload
    def passes(self, value: np.ndarray, threshold: float) -> np.ndarray: ...

    def passes(self, value: float | np.ndarray, threshold: float) -> bool | np.ndarray:
        """Whether `value` reaches `threshold`; being equal is enough, NaN reaches none. Of an array, for each value."""
        return value >= threshold if self.higher_is_better else value <= threshold


# In the order of columns and tables.
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("fid", "FID", higher_is_better=False, digits=2, low=0),
        Metric("clip_i", "CLIP-I", higher_is_better=True, digits=4, low=-1, high=1),
        Metric("clip_t", "CLIP-T", higher_is_better=True, digits=4, low=-1, high=1),
        Metric("is", "IS", higher_is_better=True, digits=2, low=1),
        Metric("psnr", "PSNR", higher_is_better=True, digits=2, low=0, high=100),
        Metric("ssim", "SSIM", higher_is_better=True, digits=4, low=-1, high=1),
    )
}

# Measured on request, from the same features; neither tiers nor ranks know them.
EXTRA_METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("kid", "KID", higher_is_better=False, digits=5),
        Metric("precision", "precision", higher_is_better=True, digits=4, low=0, high=1),
        Metric("recall", "recall", higher_is_better=True, digits=4, low=0, high=1),
        Metric("density", "density", higher_is_better=True, digits=4, low=0),
        Metric("coverage", "coverage", higher_is_better=True, digits=4, low=0, high=1),
        Metric("cmmd", "CMMD", higher_is_better=False, digits=3, low=0),
    )
}
