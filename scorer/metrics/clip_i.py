"""CLIP-I: the mean cosine between CLIP's embeddings of an image and of the reference of the same name, raw."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from scorer.cosines import cosines
from scorer.metrics.base import PerImage


class ClipI(PerImage):
    """The mean cosine with the references' embeddings, neither scaled by 100 nor clipped at 0."""

    names = ("clip_i",)

    def update(self, clip: Float[Tensor, "b e"], reference_clip: Float[Tensor, "b e"]) -> None:
        self.values.append(cosines(clip, reference_clip))
