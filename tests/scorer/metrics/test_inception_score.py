"""The Inception Score against torch-fidelity's arithmetic, restated from its definition, and against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scorer.metrics.inception_score import SplitScores, inception_score


def reference_inception_score(logits: torch.Tensor, splits: int = 10, seed: int = 2020) -> tuple[float, float]:
    """Salimans et al. 2016, eq. 1, written out over splits as torch-fidelity 0.4 does it."""
    logits = logits[np.random.RandomState(seed).permutation(len(logits))].double().numpy()
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    scores = []
    for i in range(splits):
        part = p[i * len(p) // splits : (i + 1) * len(p) // splits]
        kl = (part * (np.log(part) - np.log(part.mean(axis=0)))).sum(axis=1)
        scores.append(np.exp(kl.mean()))
    return float(np.mean(scores)), float(np.std(scores))


@pytest.mark.parametrize("n", [10, 57, 1063])
def test_against_the_definition(n: int) -> None:
    logits = torch.randn(n, 100, generator=torch.Generator().manual_seed(n)) * 3
    ours = inception_score(logits.double().log_softmax(dim=1))
    assert ours == pytest.approx(reference_inception_score(logits), rel=1e-9)


@pytest.mark.parametrize("n", [57, 1063])
def test_against_torch_fidelity(n: int) -> None:
    metric_isc = pytest.importorskip("torch_fidelity.metric_isc")
    logits = torch.randn(n, 100, generator=torch.Generator().manual_seed(n)) * 3
    expected = metric_isc.isc_features_to_metric(logits, splits=10, shuffle=True, rng_seed=2020)
    mean, std = inception_score(logits.double().log_softmax(dim=1))
    assert mean == pytest.approx(expected["inception_score_mean"], rel=1e-9)
    assert std == pytest.approx(expected["inception_score_std"], rel=1e-6)


def test_bounds() -> None:
    """1 when all images look alike, K when each split shows every class once and surely (0 log 0 is 0)."""
    uniform = torch.full((50, 7), 1 / 7, dtype=torch.float64).log()
    assert inception_score(uniform) == pytest.approx((1.0, 0.0), abs=1e-12)
    # Of equal images no rounding makes it less than 1, where its interval ends.
    same = torch.rand(30, generator=torch.Generator().manual_seed(0)).double().log_softmax(dim=0).expand(1063, -1)
    assert inception_score(same) == pytest.approx((1.0, 0.0), abs=1e-12)
    assert inception_score(same)[0] >= 1.0
    one_hot = torch.eye(4, dtype=torch.float64).log()
    assert inception_score(one_hot, splits=1) == pytest.approx((4.0, 0.0), abs=1e-12)


def test_too_few_images_and_nan() -> None:
    with pytest.raises(ValueError, match="at least 10"):
        inception_score(torch.zeros(9, 3))
    with pytest.raises(ValueError, match="NaN"):
        inception_score(torch.full((10, 3), torch.nan))


@pytest.mark.parametrize("n", [57, 1063])
def test_without_some_images_each_split_is_that_of_its_others(n: int) -> None:
    """Also where the left-out images alone are of some class, whose probability then is 0 and not −1e-17."""
    logits = torch.randn(n, 30, generator=torch.Generator().manual_seed(n)).double() * 3
    logits[:, 4] = -200.0
    logits[5:8, 4] = 200.0
    log_p = logits.log_softmax(dim=1)
    score = SplitScores(log_p, lambda part: part)
    order = np.random.RandomState(2020).permutation(n)
    for rows in (torch.arange(5, 8), torch.tensor([0, n // 2, n - 1])):
        assert score.spares([rows])
        expected = []
        for i in range(10):
            part = [k for k in order[i * n // 10 : (i + 1) * n // 10] if k not in rows.tolist()]
            p = log_p[part].exp().numpy()
            kl = (p * (np.log(p + 1e-300) - np.log(p.mean(axis=0) + 1e-300))).sum(axis=1)
            expected.append(np.exp(kl.mean()))
        assert score.without(rows).tolist() == pytest.approx(expected, rel=1e-9)
    split = torch.from_numpy(order[: n // 10].copy())
    assert not score.spares([split])
