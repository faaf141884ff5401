"""KID against its definition written out, against the closed form of its expectation, and without some images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scorer.families import Families
from scorer.metrics import kid
from scorer.metrics.kid import KernelInceptionDistance, kernel_inception_distance


def features(n: int, seed: int, shift: float = 0.0, d: int = 12) -> torch.Tensor:
    return torch.relu(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift)


def definition(x: np.ndarray, y: np.ndarray) -> float:
    """Bińkowski et al. 2018, eq. 4, pair by pair."""
    n, m, d = len(x), len(y), x.shape[1]
    within_x = sum((x[i] @ x[j] / d + 1) ** 3 for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum((y[i] @ y[j] / d + 1) ** 3 for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum((a @ b / d + 1) ** 3 for a in x for b in y) / (n * m)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (7, 25), (40, 31)])
def test_against_the_definition(n: int, m: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kid, "CHUNK", 9)  # blocks that do not fit evenly
    x, y = features(n, 1), features(m, 2, shift=0.3)
    expected = definition(x.double().numpy(), y.double().numpy())
    assert kernel_inception_distance(x, y) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_closed_form() -> None:
    """Of x = ±a and y = ±b on one axis each, equally often: odd powers cancel, E(xx'/d + 1)³ = 1 + 3 (a²/d)²."""
    d, n, a, b = 4, 1500, 1.5, 0.7
    signs = torch.randint(0, 2, (2, n), generator=torch.Generator().manual_seed(0)).double() * 2 - 1
    x, y = torch.zeros(n, d, dtype=torch.float64), torch.zeros(n, d, dtype=torch.float64)
    x[:, 0], y[:, 0] = a * signs[0], b * signs[1]
    expected = 3 * (a**2 / d - b**2 / d) ** 2
    assert kernel_inception_distance(x, y) == pytest.approx(expected, abs=0.02)


def test_unbiased_where_nothing_differs() -> None:
    values = [kernel_inception_distance(features(30, s), features(40, s + 500)) for s in range(300)]
    assert abs(np.mean(values)) < 4 * np.std(values) / len(values) ** 0.5
    assert min(values) < 0 < max(values)


@pytest.mark.parametrize("n", [43, 60])
def test_without_some_images_is_the_distance_of_the_others(n: int) -> None:
    x, y = features(n, 3, shift=0.2), features(50, 4)
    distance = KernelInceptionDistance(x, y)
    for rows in Families(range(n)).groups()[:5]:
        others = np.delete(x.numpy(), rows, axis=0)
        assert distance.without(rows) == pytest.approx(kernel_inception_distance(torch.from_numpy(others), y), rel=1e-9)


def test_worse_images_are_further_away() -> None:
    y = features(300, 5)
    values = [kernel_inception_distance(features(300, 6, shift), y) for shift in (0.0, 0.2, 0.5, 1.0)]
    assert values == sorted(values)


def test_a_paired_submission_is_below_zero_as_a_rule() -> None:
    """Images that are each like their own reference; unpaired ones are below 0 in about half of the cases."""
    paired, unpaired = 0, 0
    for seed in range(30):
        references, others = features(60, seed), features(60, 1000 + seed)
        noise = 0.3 * torch.randn(references.shape, generator=torch.Generator().manual_seed(2000 + seed))
        paired += kernel_inception_distance(references + noise, references) < 0
        unpaired += kernel_inception_distance(others, references) < 0
    assert paired == 30
    assert 8 <= unpaired <= 24


@pytest.mark.parametrize("n", [50, 53])
def test_without_some_pairs_is_the_distance_of_the_other_pairs(n: int) -> None:
    x, y = features(n, 3, shift=0.2), features(n, 4)
    distance = KernelInceptionDistance(x, y, paired=True)
    assert distance.without(torch.empty(0, dtype=torch.int64)) == pytest.approx(
        kernel_inception_distance(x, y), rel=1e-9
    )
    for rows in (*Families(range(n)).groups()[:3], torch.arange(7)):
        left = [torch.from_numpy(np.delete(table.numpy(), rows.numpy(), axis=0)) for table in (x, y)]
        assert distance.without(rows) == pytest.approx(kernel_inception_distance(*left), rel=1e-9)
    with pytest.raises(ValueError, match="not in pairs"):
        KernelInceptionDistance(x, y[:-1], paired=True)
