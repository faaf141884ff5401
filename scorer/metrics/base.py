"""What the scorecard asks of a metric beyond what any torchmetrics.Metric has: intervals, context, per-image values."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor
from torchmetrics import Metric

from scorer.families import Families
from scorer.measure import Measured
from submission.metrics import EXTRA_METRICS, METRICS
from submission.scorecard import Score


@dataclass
class Results:
    """Scores, `context` to read them against, `notes` for the reader, and `per_image` values, (N,) of each metric."""

    scores: dict[str, Score] = field(default_factory=dict)
    context: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    per_image: dict[str, Tensor] = field(default_factory=dict)


class ScoredMetric(Metric):
    """A metric of the scorecard, and a torchmetrics.Metric for any training loop.

    `update` takes tables of what was measured, a row an image, by the names that the one pass gives them; a table that
    has a default may be missing. Several calls, and several processes, concatenate their rows.
    """

    names: ClassVar[tuple[str, ...]] = ()  # the rows of `submission.metrics` that it fills
    states: ClassVar[tuple[str, ...]] = ()  # lists of tensors that `update` appends to
    fewest: ClassVar[int] = 1  # images that it needs
    too_few: ClassVar[str] = "there are only {n} images"
    is_differentiable = False
    full_state_update = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if row := (METRICS | EXTRA_METRICS).get(next(iter(cls.names), "")):
            cls.higher_is_better = row.higher_is_better

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for state in self.states:
            self.add_state(state, [], dist_reduce_fx="cat")

    @classmethod
    def of(cls, measured: Measured) -> Self:
        """The metric for what the one pass measured, which the first process has gathered."""
        return cls(sync_on_compute=False)

    def results(self, families: Families) -> Results:
        """The scores with their intervals, and what belongs to them: by default what `compute` gives, without any."""
        computed = self.compute()
        values = computed if isinstance(computed, dict) else {self.names[0]: computed}
        return Results({name: Score(float(value)) for name, value in values.items()})


class OfFeatures(ScoredMetric):
    """A comparison of Inception's features of images and of their references."""

    states = ("inception", "reference_inception")
    inception: list[Tensor]
    reference_inception: list[Tensor]

    def update(self, inception: Float[Tensor, "b d"], reference_inception: Float[Tensor, "b d"]) -> None:
        self.inception.append(inception)
        self.reference_inception.append(reference_inception)


class PerImage(ScoredMetric):
    """A mean of per-image values, which are its state. Its interval is made together with those of all such metrics."""

    states: ClassVar[tuple[str, ...]] = ("values",)
    values: list[Tensor]

    def per_image(self) -> Float[Tensor, " n"]:
        return joined(self.values)

    def compute(self) -> Float64[Tensor, ""]:
        return self.per_image().double().mean()

    def results(self, families: Families) -> Results:
        return Results(per_image={self.names[0]: self.per_image()})


class PerPair(PerImage):
    """A mean over pairs of an image and its reference, computed from their pixels during the one pass."""

    smallest_side: ClassVar[int] = 1  # pixels

    @staticmethod
    @abstractmethod
    def each(images: UInt8[Tensor, "b 3 h w"], references: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, " b"]:
        """The value of each pair."""

    @classmethod
    def of_batch(cls, images: UInt8[Tensor, "b 3 h w"], references: UInt8[Tensor, "b 3 h w"]) -> Tensor | None:
        """`each`, None where the images are too small."""
        return None if min(images.shape[-2:]) < cls.smallest_side else cls.each(images, references)

    def update(self, images: UInt8[Tensor, "b 3 h w"], references: UInt8[Tensor, "b 3 h w"]) -> None:
        self.values.append(self.each(images, references))


def joined(parts: Tensor | Sequence[Tensor]) -> Tensor:
    """A state as one table. A single part is not copied: it may be mapped from a file, and larger than the memory."""
    return parts if isinstance(parts, Tensor) else parts[0] if len(parts) == 1 else torch.cat(list(parts))


def require_pairs(images: Tensor, references: Tensor) -> None:
    """Raises ValueError where the shapes differ, which would broadcast silently, or where values are not 8-bit."""
    if images.shape != references.shape or images.dtype != torch.uint8 or references.dtype != torch.uint8:
        raise ValueError(
            f"images are {images.dtype} {tuple(images.shape)}, references {references.dtype} {tuple(references.shape)}"
        )
