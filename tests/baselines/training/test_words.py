"""Which words and pairs of words captions have."""

from __future__ import annotations

import pytest
import torch

from baselines.training import words
from baselines.training.words import Words, word_loss


@pytest.fixture
def red_and_teal(monkeypatch: pytest.MonkeyPatch) -> Words:
    monkeypatch.setattr(words, "RARE", 2)
    red, teal, joined, rare = 1, 2, 3, 4
    return Words([[red, joined, teal], [teal, joined, red], [red, joined, teal], [teal, joined, red, rare]])


def test_the_pairs_tell_the_order(red_and_teal: Words) -> None:
    assert set(red_and_teal.number) == {1, 2, 3, (1, 3), (3, 2), (2, 3), (3, 1)}
    assert sorted(red_and_teal.number.values()) == list(range(7))
    one, other = red_and_teal.targets([[1, 3, 2], [2, 3, 1]])
    assert one.sum() == other.sum() == 5
    assert not torch.equal(one, other)


def test_rare_and_unknown_words_are_not_asked_for(red_and_teal: Words) -> None:
    assert torch.equal(*red_and_teal.targets([[1, 3, 2], [1, 3, 2, 4, 99]]))
    assert not red_and_teal.targets([[4, 99]]).any()


def test_the_loss_is_a_sum_over_words_and_a_mean_over_captions(red_and_teal: Words) -> None:
    targets = red_and_teal.targets([[1, 3, 2], [2, 3, 1]])
    assert word_loss(torch.zeros_like(targets), targets) == pytest.approx(7 * 0.6931, abs=1e-3)
    assert word_loss((2 * targets - 1) * 30, targets) < 1e-6
