"""Captions to numbers: one for each word of a small vocabulary."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Int64
from torch import Tensor

PAD, UNKNOWN, START = range(3)
FIRST_WORD = 3


def words_of(text: str) -> list[str]:
    """Lower-case words and numbers; everything else separates them."""
    return re.findall(r"[^\W_]+", text.lower())


class WordTokenizer:
    """`words[k]` is number k + 3; 0 pads, 1 is any other word, 2 begins each text.

    Args:
        words: distinct, as `words_of` gives them.
        length: of each row; what is longer is cut.
    """

    def __init__(self, words: Sequence[str], length: int) -> None:
        self.words, self.length = tuple(words), length
        self._number = {word: FIRST_WORD + index for index, word in enumerate(self.words)}

    def __call__(self, texts: Sequence[str]) -> Int64[Tensor, "n length"]:
        rows = torch.full((len(texts), self.length), PAD)
        for row, text in zip(rows, texts, strict=True):
            numbers = [START, *(self._number.get(word, UNKNOWN) for word in words_of(text))][: self.length]
            row[: len(numbers)] = torch.tensor(numbers)
        return rows

    def unknown(self, text: str) -> list[str]:
        """The words of `text` that it does not know."""
        return [word for word in words_of(text) if word not in self._number]

    def with_words_of(self, texts: Iterable[str]) -> WordTokenizer:
        """One that knows the words of `texts` too; those of this one keep their numbers."""
        new = {word for text in texts for word in words_of(text)} - set(self.words)
        return WordTokenizer((*self.words, *sorted(new)), self.length)
