"""The small tokenizer cuts captions exactly as CLIP's own does, and every other text into pieces that it has."""

from __future__ import annotations

import open_clip
import pytest

from baselines.monster.tokenizer import build, clip_merges, fitted
from submission import Competition

LENGTH = 48


@pytest.fixture(scope="module")
def captions() -> list[str]:
    return [prompt.text for prompt in Competition.load("bestiary").prompts]


@pytest.fixture(scope="module")
def small(captions):
    return fitted(captions, LENGTH)


def test_the_merges_are_clips():
    theirs = open_clip.SimpleTokenizer()
    ours = build(clip_merges(), 77)
    assert len(ours) == 49408
    text = "a photo of an unbelievably zebra-striped teapot's lid, 1234 times!"
    assert ours(text)["input_ids"] == [49406, *theirs.encode(text), 49407]


def test_captions_are_cut_as_clip_cuts_them(small, captions):
    theirs = open_clip.SimpleTokenizer()
    for caption in captions[::25]:
        words = [theirs.decoder[token] for token in theirs.encode(caption)]
        assert small.tokenize(caption) == words


def test_it_is_small_and_knows_every_text(small):
    assert len(small) < 1000
    tokens = small("Zorgblat ünïcode 龍 !?")["input_ids"]
    assert max(tokens) < len(small)
    assert small.decode(tokens, skip_special_tokens=True).strip() == "zorgblat ünïcode 龍 !?"


def test_long_prompts_are_cut(small):
    tokens = small("monster " * 200, padding="max_length", truncation=True)["input_ids"]
    assert len(tokens) == LENGTH
    assert tokens[-1] == small.eos_token_id
