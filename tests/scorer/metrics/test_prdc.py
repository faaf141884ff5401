"""Precision, recall, density and coverage against the paper's definitions written out, and in cases known by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from scorer.metrics import prdc as module
from scorer.metrics.prdc import Prdc, prdc


def features(n: int, seed: int, shift: float = 0.0, d: int = 8) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift


def definition(fake: torch.Tensor, real: torch.Tensor, k: int) -> Prdc:
    """Naeem et al. 2020, eqs. 2 to 5, on a full table of distances."""
    x, y = fake.double().numpy(), real.double().numpy()
    radius_x, radius_y = np.sort(cdist(x, x), axis=1)[:, k], np.sort(cdist(y, y), axis=1)[:, k]  # column 0 is itself
    distances = cdist(y, x)
    return Prdc(
        precision=(distances < radius_y[:, None]).any(axis=0).mean(),
        recall=(distances < radius_x[None, :]).any(axis=1).mean(),
        density=(distances < radius_y[:, None]).sum() / (k * len(x)),
        coverage=(distances.min(axis=1) < radius_y).mean(),
    )


@pytest.mark.parametrize(("n", "m", "shift", "k"), [(6, 6, 0.0, 5), (100, 130, 0.3, 5), (77, 200, 1.0, 3)])
def test_against_the_definition(n: int, m: int, shift: float, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 23)  # blocks that do not fit evenly, one of them smaller than k + 1
    fake, real = features(n, 1, shift), features(m, 2)
    ours, expected = prdc(fake, real, k), definition(fake, real, k)
    for name in ("precision", "recall", "density", "coverage"):
        assert getattr(ours, name) == pytest.approx(getattr(expected, name), abs=1e-12), name
    assert 0 < ours.coverage < 1 or n == 6


def test_the_references_themselves_and_something_else() -> None:
    real = features(60, 3)
    same = prdc(real, real)
    assert (same.precision, same.recall, same.coverage) == (1.0, 1.0, 1.0)
    assert prdc(real + 1000.0, real) == Prdc(0.0, 0.0, 0.0, 0.0)


def test_one_image_repeated_is_precise_and_recalls_nothing() -> None:
    """Equal features are at distance 0 exactly, so that their balls are empty however their products round."""
    real = torch.relu(features(400, 4, 1.0, d=300))
    found = prdc(real[:1].expand(50, -1), real)
    assert found.precision == 1.0
    assert found.recall == 0.0
    assert found.coverage < 0.1
