"""CMMD against its definition written out, and its properties."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scorer.metrics import cmmd as module
from scorer.metrics.cmmd import cmmd


def embeddings(n: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(n, 16, generator=torch.Generator().manual_seed(seed)) + shift


def definition(x: torch.Tensor, y: torch.Tensor) -> float:
    """1000 · MMD² with exp(−|x − y|²/200) on unit vectors, all pairs, pair by pair."""
    a, b = ((z / z.norm(dim=1, keepdim=True)).numpy() for z in (x.double(), y.double()))

    def mean(u: np.ndarray, v: np.ndarray) -> float:
        return np.mean([np.exp(-np.sum((p - q) ** 2) / (2 * 10.0**2)) for p in u for q in v])

    return 1000 * (mean(a, a) + mean(b, b) - 2 * mean(a, b))


@pytest.mark.parametrize(("n", "m"), [(1, 1), (20, 33)])
def test_against_the_definition(n: int, m: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 7)
    x, y = embeddings(n, 1, 0.3), embeddings(m, 2)
    assert cmmd(x, y) == pytest.approx(definition(x, y), rel=1e-8)
    assert cmmd(5.0 * x, y) == pytest.approx(cmmd(x, y), rel=1e-6)  # length does not matter


def test_zero_for_the_same_and_more_for_the_more_different() -> None:
    y = embeddings(200, 3)
    values = [cmmd(y, y), *(cmmd(embeddings(200, 4, shift), y) for shift in (0.0, 0.3, 1.0))]
    assert values[0] == pytest.approx(0.0, abs=1e-9)
    assert values == sorted(values)
