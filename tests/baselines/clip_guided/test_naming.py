"""Colours in their order: how they are read from texts, exchanged, and asked of a guide."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from baselines.clip_guided.naming import NONE, ColourWords, Naming, hard_contrast, naming_loss
from baselines.clip_guided.words import WordTokenizer
from baselines.training.losses import contrastive_loss

TOKENIZER = WordTokenizer(["a", "red", "and", "blue", "slime", "green"], 8)
TEXTS = ["A blue and red slime", "a slime", "a green slime", "green red blue"]


def test_colours_are_named_in_their_order() -> None:
    colours = ColourWords(TOKENIZER)
    red, green, blue = range(3)  # as the sister world lists them
    assert len(colours) == 3
    named = colours.named(TOKENIZER(TEXTS))
    assert named.tolist() == [[blue, red], [NONE, NONE], [green, NONE], [green, red]]


def test_texts_without_colours_ask_for_nothing(make_guide: Callable) -> None:
    tokenizer = WordTokenizer(["a", "slime"], 8)
    colours, tokens = ColourWords(tokenizer), tokenizer(["a slime", "slime"])
    assert len(colours) == 0
    assert colours.named(tokens).tolist() == [[NONE, NONE]] * 2
    assert torch.equal(colours.with_another(tokens, torch.Generator()), tokens)
    logits = Naming(make_guide(), 0).text_colours(torch.ones(2, 16))
    assert naming_loss(logits, colours.named(tokens)) == 0


def test_one_colour_is_another_or_two_change_places() -> None:
    colours, tokens = ColourWords(TOKENIZER), TOKENIZER(TEXTS)
    read = {number: word for word, number in zip(TOKENIZER.words, range(3, 9), strict=True)}
    seen: list[set[str]] = [set() for _ in TEXTS]
    for seed in range(60):
        for text, row in zip(seen, colours.with_another(tokens, torch.Generator().manual_seed(seed)), strict=True):
            text.add(" ".join(read[number] for number in row.tolist() if number in read))
    assert seen[0] == {"a red and blue slime", "a green and red slime", "a blue and green slime"}
    assert seen[1] == {"a slime"}
    assert seen[2] == {"a red slime", "a blue slime"}
    assert seen[3] == {"green red blue", "red green blue"}  # it has all there are
    assert torch.equal(tokens, TOKENIZER(TEXTS))


def test_the_loss_of_naming_is_that_of_both_and_passes_over_none() -> None:
    logits = torch.randn(3, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    named = torch.tensor([[2, 0], [1, NONE], [NONE, NONE]])
    log = functional.log_softmax(logits.view(3, 2, 3), dim=2)
    value = naming_loss(logits, named)
    torch.testing.assert_close(value, -(log[0, 0, 2] + log[0, 1, 0] + log[1, 0, 1]) / 3)
    value.backward()
    assert logits.grad is not None
    assert not logits.grad[2].any()
    sure = functional.one_hot(torch.tensor([[2, 0]]), 3).flatten(1) * 100.0
    assert naming_loss(sure, named[:1]) == pytest.approx(0)


def test_a_harder_text_makes_the_contrast_harder() -> None:
    generator = torch.Generator().manual_seed(0)
    images, texts, others = (functional.normalize(torch.randn(5, 4, generator=generator), dim=1) for _ in range(3))
    same, scale = torch.tensor([False] * 4 + [True]), torch.tensor(5.0)
    plain, right = contrastive_loss(images, texts, scale)
    none, _ = hard_contrast(images, texts, others, torch.ones(5, dtype=torch.bool), scale)
    torch.testing.assert_close(none, plain)
    value, same_right = hard_contrast(images, texts, others, same, scale)
    assert value > plain
    assert same_right == right
    logits = scale * images @ torch.cat([texts, others[:4]]).T
    kept = torch.cat([torch.ones(5, 5), torch.eye(5)[:, :4]], dim=1).bool()
    rows = functional.cross_entropy(logits.masked_fill(~kept, -torch.inf), torch.arange(5))
    columns = functional.cross_entropy(logits[:, :5].T, torch.arange(5))
    torch.testing.assert_close(value, (rows + columns) / 2)


def test_both_towers_learn_from_naming(make_guide: Callable) -> None:
    guide = make_guide(noised=True).requires_grad_(True)
    colours = ColourWords(guide.tokenizer)
    model = Naming(guide, len(colours))
    tokens = guide.tokenizer(["a red slime", "a blue slime"])
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    out = model(images, torch.tensor([3, 500]), tokens, tokens.flip(0))
    torch.testing.assert_close(out.text, out.other.flip(0))
    image, text, scale = guide(images, tokens, torch.tensor([3, 500]))
    for own, its in ((out.image, image), (out.text, text), (out.scale, scale)):
        torch.testing.assert_close(own, its)
    named = colours.named(tokens)
    (naming_loss(out.image_colours, named) + naming_loss(out.text_colours, named)).backward()
    for parameter in (guide.blocks[0].down.weight, guide.token_embedding.weight):
        assert parameter.grad is not None
        assert parameter.grad.any()
