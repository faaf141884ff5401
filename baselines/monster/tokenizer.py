"""A CLIP tokenizer with the rows that a training set touches: CLIP's own byte-pair merges, far fewer tokens.

The whole vocabulary has 49,408 rows, which would cost more than the networks. Words that no caption used still have
ids: they fall apart into shorter pieces and at last into letters.
"""

from __future__ import annotations

from collections.abc import Iterable

from transformers import CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

START, END = "<|startoftext|>", "<|endoftext|>"


def clip_merges() -> list[tuple[str, str]]:
    """CLIP's 48,894 merges in order of rank, from the list that open_clip carries (Radford et al., 2021; MIT)."""
    from open_clip.tokenizer import SimpleTokenizer  # takes seconds to import

    return list(SimpleTokenizer().bpe_ranks)


def build(merges: list[tuple[str, str]], max_length: int) -> CLIPTokenizer:
    """A CLIPTokenizer of the given merges.

    Its ids, in order: the letters that stand for bytes, letters that end a word, merges, start, end (which also pads).
    """
    letters = list(bytes_to_unicode().values())
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
