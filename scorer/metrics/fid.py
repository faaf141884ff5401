"""FID: the Fréchet distance (`scorer.frechet`) of Inception's features from the references', or from statistics."""

from __future__ import annotations

from typing import Any, Self

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from scorer.confidence import jackknife
from scorer.families import Families
from scorer.frechet import Array, FrechetDistance, PairedFrechetDistance, feature_statistics
from scorer.measure import Measured
from scorer.metrics.base import OfFeatures, Results, joined
from submission.scorecard import Score


class FID(OfFeatures):
    """The Fréchet Inception Distance.

    Args:
        statistics: mean (D,) and covariance (D, D) to measure against, by default those of the references.
        paired: whether reference i is that of image i, and a family leaves the interval's jackknife with both.
    """

    names = ("fid",)
    fewest = 2
    too_few = "a covariance needs at least 2 images"

    def __init__(self, statistics: tuple[Array, Array] | None = None, *, paired: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self._statistics, self._paired = statistics, paired

    @classmethod
    def of(cls, measured: Measured) -> Self:
        """Against the competition's statistics, or its references'."""
        return cls(measured.statistics, paired=not measured.unpaired, sync_on_compute=False)

    def update(self, inception: Float[Tensor, "b d"], reference_inception: Float[Tensor, "b d"] | None = None) -> None:
        self.inception.append(inception)
        if reference_inception is not None:
            self.reference_inception.append(reference_inception)

    def compute(self) -> Float64[Tensor, ""]:
        """The distance; 0 where rounding leaves less."""
        value = self._distance().of_all()
        return torch.tensor(max(value, 0.0), dtype=torch.float64)

    def results(self, families: Families) -> Results:
        without = (distance := self._distance()).without
        if self._paired and len(self.reference_inception):
            without = PairedFrechetDistance(distance, joined(self.reference_inception)).without
        value, low, high = jackknife(without, families)
        # Rounding leaves −1e-12 or so between equal sets, which would be printed as −0.00 and beat every other.
        return Results({"fid": Score(max(value, 0.0), low, high, families.why_too_few)})

    def _distance(self) -> FrechetDistance:
        reference = self._statistics or feature_statistics(joined(self.reference_inception))
        return FrechetDistance(joined(self.inception), *reference, self.device)
