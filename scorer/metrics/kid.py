"""The Kernel Inception Distance: an unbiased distance of feature sets that assumes no Gaussian.

Bińkowski et al., "Demystifying MMD GANs", ICLR 2018, arXiv 1801.01401, section 4: the unbiased squared maximum
mean discrepancy with the kernel k(x, y) = (xᵀy/d + 1)³. Of all pairs at once: averages over random subsets, as most
libraries take them, have another value in every run and a larger error.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from scorer.confidence import jackknife
from scorer.families import Families
from scorer.metrics.base import OfFeatures, Results, joined
from submission.scorecard import Score

CHUNK = 2048  # images a side of the blocks in which all pairs are looked at


def kernel_inception_distance(features: Float[Tensor, "n d"], references: Float[Tensor, "m d"]) -> float:
    """The KID, in float64; lower is better.

    Of images that are as good as real it is below 0: in half of the cases where they have nothing to do with the
    references, as a rule where each image is like one reference, because those pairs count among the pairs across.

    Args:
        features: (N, D) of the generated images, N ≥ 2; may be mapped from a file.
        references: (M, D) of the real ones, M ≥ 2.

    Raises:
        ValueError: fewer than two rows, or another number of dimensions.
    """
    return KernelInceptionDistance(features, references).without(torch.empty(0, dtype=torch.int64))


class KernelInceptionDistance:
    """The KID of `kernel_inception_distance`, of all features or `without` some of them; takes and raises the same.

    `device` is where to compute, by default where the features are; they are moved there in parts. `paired` says that
    reference i is that of image i, and left out with it. `floor` is what the KID cannot be less than, of these images
    or of most of them.
    """

    def __init__(
        self,
        features: Float[Tensor, "n d"],
        references: Float[Tensor, "m d"],
        device: torch.device | None = None,
        *,
        paired: bool = False,
    ) -> None:
        n, self._m = len(features), len(references)
        if min(n, self._m) < 2:
            raise ValueError(f"the KID needs at least 2 images on each side, got {n} and {self._m}")
        if features.shape[1] != references.shape[1]:
            raise ValueError(
                f"the features have {features.shape[1]} dimensions, the references' {references.shape[1]}: "
                "they come from different networks"
            )
        if paired and n != self._m:
            raise ValueError(f"{n} images are not in pairs with {self._m} references")
        self._features, self._references, self._paired = features, references, paired
        self._device = device or features.device
        self._within, itself = _others(features, self._device)
        self._across = _row_sums(features, references, self._device)
        if paired:
            self._across_back = _row_sums(references, features, self._device)
        self._references_within, itself_of_references = _others(references, self._device)
        self._references_term = float(self._references_within.sum()) / (self._m * (self._m - 1))
        within = float(self._within.sum()) / (n * (n - 1))
        # The biased estimate, which counts each image's pair with itself too, is a squared norm, so at least 0. It is
        # larger than the unbiased one by this.
        of_itself = (float(itself.mean()) - within) / n
        of_itself += (float(itself_of_references.mean()) - self._references_term) / self._m
        # Twice that, because it is larger for fewer images, and because images like their references come near it,
        # where a root is no scale: of the bestiary redrawn by its artist, once that held the mean KID in 73 % of cases
        # and twice that in 88 %.
        self.floor = -2.0 * of_itself

    def without(self, rows: Int64[Tensor, " k"]) -> float:
        """The distance of the features without those of `rows` (each once), and where they are paired without their
        references; at least two must be left."""
        n = len(self._features) - len(rows)
        if n < 2:
            raise ValueError(f"the KID needs at least 2 images, and only {n} would be left")
        out = self._features[rows.to(self._features.device)]
        rows = rows.to(self._device)
        within = self._within_without(self._within, out, rows)
        across = self._across.sum() - self._across[rows].sum()
        if not self._paired:
            return float(within / (n * (n - 1)) + self._references_term - 2.0 * across / (n * self._m))
        references_out = self._references[rows.to(self._references.device)]
        references_within = self._within_without(self._references_within, references_out, rows)
        across += _row_sums(out, references_out, self._device).sum() - self._across_back[rows].sum()
        return float((within + references_within) / (n * (n - 1)) - 2.0 * across / (n * n))

    def _within_without(self, sums: Tensor, out: Tensor, rows: Tensor) -> Tensor:
        # A pair of which both are left out is in two row sums, and counts once.
        return sums.sum() - 2.0 * sums[rows].sum() + _others(out, self._device)[0].sum()


def _others(x: Tensor, device: torch.device) -> tuple[Float64[Tensor, " n"], Float64[Tensor, " n"]]:
    """Each row's sum of k(x_i, x_j) over all other rows j ≠ i, and its k(x_i, x_i)."""
    squares = torch.cat([part.to(device, torch.float64).square().sum(dim=1) for part in x.split(CHUNK)])
    itself = _kernel(squares, x.shape[1])
    return _row_sums(x, x, device) - itself, itself


def _row_sums(x: Tensor, y: Tensor, device: torch.device) -> Float64[Tensor, " n"]:
    """Each row's sum of k(x_i, y_j) over all rows j of `y`."""
    sums = []
    for left in x.split(CHUNK):
        left = left.to(device, torch.float64)
        total = torch.zeros(len(left), dtype=torch.float64, device=device)
        for right in y.split(CHUNK):
            total += _kernel(left @ right.to(device, torch.float64).T, x.shape[1]).sum(dim=1)
        sums.append(total)
    return torch.cat(sums)


def _kernel(dot_products: Tensor, dimensions: int) -> Tensor:
    return (dot_products / dimensions + 1.0) ** 3


class KID(OfFeatures):
    """The Kernel Inception Distance, for reference i being that of image i."""

    names = ("kid",)
    fewest = 6  # as of all metrics on request

    def compute(self) -> Float64[Tensor, ""]:
        value = kernel_inception_distance(joined(self.inception), joined(self.reference_inception))
        return torch.tensor(value, dtype=torch.float64)

    def results(self, families: Families) -> Results:
        features, references = joined(self.inception), joined(self.reference_inception)
        distance = KernelInceptionDistance(features, references, self.device, paired=True)
        found = jackknife(distance.without, families, distance.floor)
        return Results({"kid": Score(*found, families.why_too_few)})
