"""CLIP-T: the mean cosine between CLIP's embeddings of an image and of its prompt, raw.

CLIPScore without its scaling (Hessel et al., EMNLP 2021). A cosine means little by itself: it lies between what wrong
prompts give and what the real images give, which are its context.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from scorer.cosines import cosines_with_prompts
from scorer.families import Families
from scorer.metrics.base import PerImage, Results, joined


class ClipT(PerImage):
    """The mean cosine with the prompts' embeddings, neither scaled by 100 nor clipped at 0."""

    names = ("clip_t",)
    states = ("values", "of_references", "of_wrong_prompts")
    of_references: list[Tensor]
    of_wrong_prompts: list[Tensor]

    def update(
        self,
        clip: Float[Tensor, "b e"],
        text: Float[Tensor, "t e"],
        text_rows: Int[Tensor, " b"] | None = None,
        reference_clip: Float[Tensor, "b e"] | None = None,
    ) -> None:
        """Add the embeddings of images, and of their prompts: those in `text_rows` of `text`, by default one each."""
        rows = torch.arange(len(clip), device=text.device) if text_rows is None else text_rows
        self.values.append(cosines_with_prompts(clip, text, rows))
        if reference_clip is not None:
            self.of_references.append(cosines_with_prompts(reference_clip, text, rows))
        if len(text) > 1:
            self.of_wrong_prompts.append(cosines_with_prompts(clip, text, mismatched(rows, len(text))))

    def results(self, families: Families) -> Results:
        """The per-image values, and the means of the references and of wrong prompts."""
        results = super().results(families)
        for name, values in (("references", self.of_references), ("shuffled", self.of_wrong_prompts)):
            if len(values):
                results.context[f"clip_t_{name}"] = float(joined(values).mean())
        return results


def mismatched(index: Int[Tensor, " n"], n_texts: int) -> Int[Tensor, " n"]:
    """For each image the place of a wrong text: half-way around the list of distinct ones, the same in every run.

    Half-way rather than next, because neighbouring prompts often describe the same subject. Needs two texts or more.
    """
    if n_texts < 2:
        raise ValueError("there is no wrong prompt when all prompts are the same")
    return (index + n_texts // 2) % n_texts
