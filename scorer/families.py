"""The families of a submission's images, as intervals see them: how many, how unequal, and in groups to leave out.

Images of one family (equal prompts; what the competition's `group` names) succeed and fail together. They are evidence
once, so whatever asks how a score varies draws families anew, or leaves families out, and never a single image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

GROUPS = 20
# With fewer families or degrees of freedom, intervals hold what they promise less often than 90 times in 100: measured
# 88 % with 5 equal families, 93 % with 10; of the jackknife, 81 % with 3 degrees of freedom, 94 % with 4.7.
FEWEST = 10
LEAST_FREEDOM = 4.0
SEED = 2020  # of the order of families in groups, so that a submission's intervals are the same in every run


class Families:
    """Of N images: `labels` (N,), the family of each, a number from 0 to `count` − 1.

    `sizes` (count,) float64: how many images each family has.
    """

    def __init__(self, labels: Sequence[int] | np.ndarray) -> None:
        _, numbers = np.unique(np.asarray(labels, dtype=np.int64), return_inverse=True)
        self.labels: np.ndarray = numbers.reshape(-1)
        self.sizes = np.bincount(self.labels).astype(np.float64)
        self.count = len(self.sizes)

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def _moments(self) -> tuple[float, float]:
        # The sum of squares of e = s − n (Σ s) / N, the families' sums less what their sizes explain, as a quadratic
        # form in independent family means of equal variance: its trace, and the trace of its square.
        n = self.sizes
        total, s2, s3, s4, s5 = (float((n**power).sum()) for power in range(1, 6))
        trace = s2 - 2 * s3 / total + s2**2 / total**2
        of_square = s4 + 2 * (s2 * s4 / total**2 - 2 * s5 / total)
        of_square += 2 * (s3**2 + s2 * s4) / total**2 - 4 * s2**2 * s3 / total**3 + s2**4 / total**4
        return trace, of_square

    @property
    def degrees_of_freedom(self) -> float:
        """What the families are worth: `count` − 1 where all are equally large, less the more unequal they are.

        Satterthwaite's approximation for the variance of a mean over clusters (Bell & McCaffrey, "Bias reduction in
        standard errors for linear regression with multi-stage samples", Survey Methodology 28, 2002), as if an image
        added nothing about its family.
        """
        trace, of_square = self._moments
        return 0.0 if self.count < 2 else trace**2 / of_square

    @property
    def inflation(self) -> float:
        """The true standard error over the one that the families' own sums show: √(m / (m − 1)) of m equal ones."""
        return math.sqrt(float((self.sizes**2).sum() / self._moments[0]))

    @property
    def why_too_few(self) -> str | None:
        """Why these families have no interval, None where they have one."""
        if self.count < FEWEST:
            families = "one family" if self.count == 1 else f"{self.count} families"
            return f"no interval: the prompts are {families}, and it takes {FEWEST} or more"
        if self.degrees_of_freedom < LEAST_FREEDOM:
            fraction = self.sizes.max() / self.sizes.sum()
            return f"no interval: one of the {self.count} families of prompts has {fraction:.0%} of the images"
        return None

    def groups(self, groups: int = GROUPS, seed: int = SEED) -> list[Int64[Tensor, " k"]]:
        """The images in `groups` groups of whole families, as equal in images as can be: each a sorted tensor.

        Fewer groups where there are fewer families. Shuffled, so that neighbouring families, often alike, fall into
        different groups.
        """
        groups = min(groups, self.count)
        order = np.random.default_rng(seed).permutation(self.count)
        group_of = np.empty(self.count, dtype=np.int64)
        if (self.sizes == self.sizes[0]).all():
            for number, part in enumerate(np.array_split(order, groups)):
                group_of[part] = number
        else:
            # The largest family first, each to the group that is smallest so far.
            filled = np.zeros(groups)
            for family in order[np.argsort(-self.sizes[order], kind="stable")]:
                group_of[family] = smallest = int(filled.argmin())
                filled[smallest] += self.sizes[family]
        of_image = group_of[self.labels]
        return [torch.from_numpy(np.flatnonzero(of_image == number)) for number in range(groups)]
