"""Prompts to what the two text encoders take: padded rows of token ids, by GPT-2's or by CLIP's byte pairs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from baselines.glide.config import CLIP_END, CLIP_START
from submission.errors import UsageError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_MAX_FILE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class BytePairEncoding:
    """Text to ids, by GPT-2's byte-level byte pairs (Radford et al. 2019; Sennrich et al., arXiv 1508.07909)."""

    tokenizer: Tokenizer

    @property
    def vocab_size(self) -> int:
        return self.tokenizer.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        """The ids of the lower-cased text, as GLIDE was trained, without begin or end."""
        valid = text.lower().encode("utf-8", errors="replace").decode()  # no half of a surrogate pair
        return self.tokenizer.encode(valid).ids


def read_bpe(vocab: Path, merges: Path) -> BytePairEncoding:
    """From vocab.json and merges.txt. Raises UsageError when they are not what GPT-2's are, or not of each other."""
    from tokenizers import Tokenizer, models, pre_tokenizers  # only OpenAI's folder needs it

    for path in (vocab, merges):
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise UsageError(f"{path} is too large for a vocabulary")
    try:
        ids = json.loads(vocab.read_text(encoding="utf-8"))
        json.dumps(ids, ensure_ascii=False).encode()  # a half of a surrogate pair is no text, which tokenizers wants
        lines = merges.read_text(encoding="utf-8").split("\n")
    except ValueError as error:
        raise UsageError(f"{vocab.parent}: vocab.json or merges.txt cannot be read: {error}") from None
    if not isinstance(ids, dict) or sorted(ids.values(), key=str) != sorted(range(len(ids)), key=str):
        raise UsageError(f"{vocab} is not a vocabulary: it must map each token to an id of its own, from 0 on")
    pairs = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    words = pre_tokenizers.ByteLevel(add_prefix_space=False)
    known = [pair for pair in pairs if len(pair) == 2 and "".join(pair) in ids]
    if len(known) != len(pairs) or not set(words.alphabet()) <= ids.keys():
        raise UsageError(f"{merges} and {vocab} do not belong together: a merge or a byte has no id")
    usable = [pair for pair in known if {*pair} <= ids.keys()]  # another never applies, and tokenizers refuses it
    tokenizer = Tokenizer(models.BPE({token: int(number) for token, number in ids.items()}, usable))  # JSON's 1.0 is 1
    tokenizer.pre_tokenizer = words
    return BytePairEncoding(tokenizer)


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
