"""The guide and its words: what fine-tuning starts from, what a batch may not do."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from baselines.clip_guided import plain_shapes
from baselines.clip_guided.guide import Guide, grown
from baselines.clip_guided.words import PAD, START, UNKNOWN, WordTokenizer


def test_words() -> None:
    tokenizer = WordTokenizer(["red", "bat"], 5)
    rows = tokenizer(["A Red, red-hot BAT!", "", "bat bat bat bat bat bat"])
    assert rows.tolist() == [[START, UNKNOWN, 3, 3, UNKNOWN], [START, PAD, PAD, PAD, PAD], [START, 4, 4, 4, 4]]
    assert tokenizer.unknown("A red bat") == ["a"]
    more = tokenizer.with_words_of(["a red zebra", "an ape"])
    assert more.words == ("red", "bat", "a", "an", "ape", "zebra")
    assert tokenizer.with_words_of(["red"]).words == tokenizer.words


def test_a_grown_guide_begins_with_the_same_answers(make_guide: Callable) -> None:
    guide = make_guide()
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    more = grown(guide, replace(guide.config, words=(*guide.config.words, "truck"))).eval()
    torch.testing.assert_close(more.image_features(images), guide.image_features(images))
    torch.testing.assert_close(
        more.text_features(more.tokenizer(["a red slime"])), guide.text_features(guide.tokenizer(["a red slime"]))
    )
    new, unknown = more.token_embedding.weight[-1], guide.token_embedding.weight[UNKNOWN]
    assert 0 < (new - unknown).norm() < 0.6 * unknown.norm()


@pytest.mark.parametrize("change", [{"words": ("red",)}, {"embed_dim": 8}, {"noised": True}])
def test_a_guide_of_another_shape_is_refused(change: dict, make_guide: Callable) -> None:
    guide = make_guide()
    with pytest.raises(ValueError, match="guide"):
        grown(guide, replace(guide.config, **change))


def test_padding_and_company_change_nothing(make_guide: Callable) -> None:
    guide: Guide = make_guide()
    together = guide.text_features(guide.tokenizer(["a red slime", "a blue slime number red red"]))
    alone = guide.text_features(guide.tokenizer(["a red slime"]))
    torch.testing.assert_close(together[:1], alone)
    shorter = Guide(replace(guide.config, text_length=5)).eval()
    state = guide.state_dict()
    shorter.load_state_dict(state | {"position_embedding": state["position_embedding"][:5]})
    torch.testing.assert_close(shorter.text_features(shorter.tokenizer(["a red slime"])), alone)


def test_the_sister_world_shows_what_it_says() -> None:
    kinds = ["red circle", "blue circle", "green square"]
    shapes = plain_shapes.draw(kinds, 32, random.Random(5))
    assert shapes.images.shape == (3, 3, 32, 32)
    assert shapes.images.abs().max() <= 1
    for kind, caption in zip(kinds, shapes.captions, strict=True):
        assert set(kind.split()) <= set(caption.lower().strip(".").split())
    words = {word for k in range(30) for c in plain_shapes.draw(list(plain_shapes.KINDS), 8, random.Random(k)).captions
             for word in c.lower().strip(".").split()}  # fmt: skip
    assert words == set(plain_shapes.WORDS)


@pytest.mark.parametrize("shape", plain_shapes.SHAPES)
def test_each_shape_is_drawn_in_its_colour(shape: str) -> None:
    images = plain_shapes.draw([f"red {shape}", f"blue {shape}"] * 8, 32, random.Random(1)).images
    redder = images[:, 0] - images[:, 2]  # 2 is the whole range
    assert ((redder[::2] > 0.3).float().mean((1, 2)) > 0.008).all()
    assert ((redder[1::2] < -0.3).float().mean((1, 2)) > 0.008).all()
