"""Prompts to what the two text encoders take: padded rows of token ids, by GPT-2's or by CLIP's byte pairs."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from baselines.glide.config import CLIP_END, CLIP_START
from submission.errors import UsageError

_CONTRACTIONS = re.compile("'s|'t|'re|'ve|'m|'ll|'d")
# GPT-2's pattern over kinds of characters (L letter, N number, O other, \n white space but the space itself), because
# Python's own expressions do not know Unicode's categories.
_RUNS = re.compile(r" ?L+| ?N+| ?O+|\s+(?!\S)|\s+")
_MAX_FILE_BYTES = 64 * 2**20


def _kind(char: str) -> str:
    if char == " ":
        return " "
    category = unicodedata.category(char)[0]
    return category if category in "LN" else "\n" if char.isspace() and char not in "\x1c\x1d\x1e\x1f" else "O"


def split(text: str) -> Iterator[str]:
    """Words with the space before them, numbers, punctuation, contractions: what is never merged across."""
    kinds = "".join(map(_kind, text))
    at = 0
    while at < len(text):
        found = _CONTRACTIONS.match(text, at) or _RUNS.match(kinds, at)
        assert found is not None  # every kind of character starts a run
        yield text[at : found.end()]
        at = found.end()


def byte_symbols() -> list[str]:
    """For each byte the visible character that stands for it: Latin-1's own where it has one, others from U+0100 on."""
    visible = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    hidden = [byte for byte in range(256) if byte not in visible]
    return [chr(byte if byte in visible else 256 + hidden.index(byte)) for byte in range(256)]


class BytePairEncoding:
    """Text to ids, by GPT-2's byte-level byte pairs (Radford et al. 2019; Sennrich et al., arXiv 1508.07909).

    Args:
        vocab: token -> id.
        merges: the pairs that are merged, the earliest first.
    """

    def __init__(self, vocab: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> None:
        self._vocab = vocab
        self._ranks = {pair: rank for rank, pair in enumerate(merges)}
        self._symbols = byte_symbols()
        self._cache: dict[str, list[int]] = {}

    @property
    def vocab_size(self) -> int:
        return len(self._vocab)

    def encode(self, text: str) -> list[int]:
        """The ids of the lower-cased text, as GLIDE was trained, without begin or end."""
        return [token for word in split(text.lower()) for token in self._word(word)]

    def _word(self, word: str) -> list[int]:
        if word not in self._cache:
            self._cache[word] = [self._vocab[symbol] for symbol in self._merged(word)]
        return self._cache[word]

    def _merged(self, word: str) -> list[str]:
        parts = [self._symbols[byte] for byte in word.encode("utf-8", errors="replace")]
        while len(parts) > 1:
            pairs = list(pairwise(parts))
            first = min(pairs, key=lambda pair: self._ranks.get(pair, len(self._ranks)))
            if first not in self._ranks:
                break
            merged, at = [], 0
            while at < len(parts):
                pair = tuple(parts[at : at + 2])
                merged.append("".join(pair) if pair == first else parts[at])
                at += 2 if pair == first else 1
            parts = merged
        return parts


def read_bpe(vocab: Path, merges: Path) -> BytePairEncoding:
    """From vocab.json and merges.txt. Raises UsageError when they are not what GPT-2's are, or not of each other."""
    for path in (vocab, merges):
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise UsageError(f"{path} is too large for a vocabulary")
    try:
        ids = json.loads(vocab.read_text(encoding="utf-8"))
        lines = merges.read_text(encoding="utf-8").split("\n")
    except ValueError as error:
        raise UsageError(f"{vocab.parent}: vocab.json or merges.txt cannot be read: {error}") from None
    if not isinstance(ids, dict) or sorted(ids.values(), key=str) != sorted(range(len(ids)), key=str):
        raise UsageError(f"{vocab} is not a vocabulary: it must map each token to an id of its own, from 0 on")
    pairs = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    known = [pair for pair in pairs if len(pair) == 2 and "".join(pair) in ids]
    if len(known) != len(pairs) or not set(byte_symbols()) <= ids.keys():
        raise UsageError(f"{merges} and {vocab} do not belong together: a merge or a byte has no id")
    return BytePairEncoding(ids, known)


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
