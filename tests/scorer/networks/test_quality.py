"""Retrieval and AUC on embeddings whose answers are known."""

from __future__ import annotations

import pytest
import torch

from scorer.networks.quality import retrieval


def test_perfect_embeddings_are_perfect() -> None:
    eye = torch.eye(12)
    found = retrieval(eye, eye, range(12))
    assert found == {
        "distinct captions": 12, "R@1": 1.0, "R@10": 1.0, "AUC": 1.0, "cosine, matched": 1.0, "cosine, others": 0.0,
    }  # fmt: skip


def test_shifted_by_one_finds_nothing() -> None:
    eye = torch.eye(12)
    found = retrieval(eye, eye.roll(1, 0), range(12))
    assert found["R@1"] == 0.0
    # Each own cosine, 0, loses to one of 132 others (the twelve ones) and ties with the rest.
    assert found["AUC"] == pytest.approx(0.5 * 120 / 132)


def test_equal_meanings_count_once() -> None:
    eye = torch.eye(12)
    text = torch.cat([eye, eye[:3]])
    assert retrieval(text, text, [*range(12), 0, 1, 2])["distinct captions"] == 12
