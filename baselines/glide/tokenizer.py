"""Prompts to what the two text encoders take: padded rows of token ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from baselines.glide.config import CLIP_END, CLIP_START


class Vocabulary:
    """Ids of a BPE -> rows of a token table that may have kept only some of them.

    Args:
        encode: text to ids.
        rows: the ids that have a row, in the rows' order; None: all, each its own row.
    """

    def __init__(self, encode: Callable[[str], list[int]], rows: Sequence[int] | None = None) -> None:
        self._encode = encode
        self._rows = None if rows is None else {token: row for row, token in enumerate(rows)}

    def encode(self, text: str) -> list[int]:
        """The rows of a text. An id without a row is left out."""
        ids = self._encode(text)
        return ids if self._rows is None else [self._rows[token] for token in ids if token in self._rows]

    def row(self, token: int) -> int:
        """Of one id that must have a row."""
        return token if self._rows is None else self._rows[token]

    def leaves_out(self, text: str) -> bool:
        """Whether something of it has no row."""
        return self._rows is not None and any(token not in self._rows for token in self._encode(text))


class TextTokenizer:
    """For the UNets: no begin and no end; padding has its own embeddings, so its id does not matter.

    Args:
        pad: the id at padded positions (GPT-2's end of text, as in training).
    """

    def __init__(self, vocabulary: Vocabulary, length: int, pad: int) -> None:
        self.vocabulary, self.length, self.pad = vocabulary, length, pad

    def cuts(self, prompt: str) -> bool:
        """Whether the prompt has more than `length` tokens."""
        return len(self.vocabulary.encode(prompt)) > self.length

    def __call__(self, prompts: Sequence[str]) -> tuple[Int[Tensor, "b l"], Bool[Tensor, "b l"]]:
        """Ids, and True at real tokens. Longer prompts are cut; the empty prompt is all padding."""
        rows = [self.vocabulary.encode(prompt)[: self.length] for prompt in prompts]
        ids = [row + [self.pad] * (self.length - len(row)) for row in rows]
        mask = [[index < len(row) for index in range(self.length)] for row in rows]
        return torch.tensor(ids), torch.tensor(mask)


class ClipTokenizer:
    """For the noised CLIP: start, prompt, end, then zeros."""

    def __init__(self, vocabulary: Vocabulary, length: int) -> None:
        self.vocabulary, self.length = vocabulary, length

    def cuts(self, prompt: str) -> bool:
        """Whether the prompt has more tokens than fit between start and end."""
        return len(self.vocabulary.encode(prompt)) > self.length - 2

    def __call__(self, prompts: Sequence[str]) -> tuple[Int[Tensor, "b l"], Int[Tensor, " b"]]:
        """Ids, and how many of them are real, start and end included."""
        start, end = self.vocabulary.row(CLIP_START), self.vocabulary.row(CLIP_END)
        rows = [[start, *self.vocabulary.encode(prompt)[: self.length - 2], end] for prompt in prompts]
        ids = [row + [0] * (self.length - len(row)) for row in rows]
        return torch.tensor(ids), torch.tensor([len(row) for row in rows])


def clip_bpe() -> Callable[[str], list[int]]:
    """CLIP's BPE with its cleaning of text, from the list that open_clip brings."""
    from open_clip.tokenizer import SimpleTokenizer  # takes seconds to import: only CLIP guidance needs it

    encode = SimpleTokenizer().encode
    # CLIP's own spelling of its two control tokens, for which open_clip has another.
    return lambda text: encode(re.sub(r"<\|(start|end)oftext\|>", r"<\1_of_text>", text, flags=re.IGNORECASE))
