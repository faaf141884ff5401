"""A CLIP tokenizer with the rows that a training set touches: CLIP's own byte-pair merges, far fewer tokens.

The whole vocabulary has 49,408 rows, which would cost more than the networks. Words that no caption used still have
ids: they fall apart into shorter pieces and at last into letters.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from importlib.resources import files

from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"


def clip_merges() -> list[tuple[str, str]]:
    """CLIP's 48,894 merges in order of rank, from the list that open_clip carries (Radford et al., 2021; MIT)."""
    packed = (files("open_clip") / "bpe_simple_vocab_16e6.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode("utf-8").split("\n")[1 : 49152 - 256 - 2 + 1]
    return [(left, right) for left, right in (line.split() for line in lines)]


def _byte_letters() -> list[str]:
    """The 256 letters that stand for bytes in CLIP's vocabulary, in its order (as in GPT-2's encoder)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + k) for k in range(len(others))]


def build(merges: list[tuple[str, str]], max_length: int) -> CLIPTokenizer:
    """A CLIPTokenizer of the given merges.

    Its ids, in order: letters, letters that end a word, merges, start, end (which also pads).
    """
    letters = _byte_letters()
    tokens = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges), START, END]
    return CLIPTokenizer(
        vocab={token: number for number, token in enumerate(tokens)},
        merges=merges,
        model_max_length=max_length,
        bos_token=START,
        eos_token=END,
        unk_token=END,
        pad_token=END,
    )


def fitted(captions: Iterable[str], max_length: int) -> CLIPTokenizer:
    """The smallest tokenizer that cuts `captions` exactly as CLIP's own does."""
    whole = clip_merges()
    made_by = {left + right: (left, right) for left, right in whole}
    words = {word for caption in captions for word in caption.lower().split()}
    full = build(whole, max_length)
    needed: set[tuple[str, str]] = set()
    pending = {token for word in words for token in full.tokenize(word)}
    while pending:
        pair = made_by.get(pending.pop())
        if pair and pair not in needed:
            needed.add(pair)
            pending.update(pair)
    return build([pair for pair in whole if pair in needed], max_length)
