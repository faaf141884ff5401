"""Which words, and which pairs of neighbouring words, a caption has: what tells "red and teal" from "teal and red".

Pictures alone let a text encoder learn a bag of words. Asked for the pairs as well, it has to learn their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn import functional

RARE = 50  # a word or pair in fewer captions is not asked for


class Words:
    """The words and pairs of neighbours of a training set's captions, as token ids, that are not rare, numbered."""

    def __init__(self, captions: Iterable[Sequence[int]]) -> None:
        counts = Counter(part for ids in captions for part in parts_of(ids))
        self.number = {part: k for k, part in enumerate(sorted((p for p, n in counts.items() if n >= RARE), key=str))}

    def __len__(self) -> int:
        return len(self.number)

    def targets(self, captions: Sequence[Sequence[int]]) -> Float32[Tensor, "b v"]:
        """1 where a caption has the word or pair, 0 elsewhere."""
        wanted = torch.zeros(len(captions), len(self))
        for row, ids in zip(wanted, captions, strict=True):
            row[[self.number[part] for part in parts_of(ids) if part in self.number]] = 1.0
        return wanted


def parts_of(ids: Sequence[int]) -> set[int | tuple[int, int]]:
    """The words of a caption, as token ids, and its pairs of neighbours."""
    return {*ids, *pairwise(ids)}


def word_loss(logits: Float[Tensor, "b v"], targets: Float32[Tensor, "b v"]) -> Float[Tensor, ""]:
    """Cross-entropy of each word and pair on its own, summed over them, mean over captions; in nats."""
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(1).mean()
