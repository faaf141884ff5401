"""The intervals against scipy's bootstrap, closed forms and brute force, and how often they hold what they aim at."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch

from scorer.confidence import bootstrap_intervals, jackknife, jackknife_interval, splits_interval, t_quantile
from scorer.families import Families


def test_quantiles_of_students_t() -> None:
    assert t_quantile(19) == pytest.approx(2.093024, abs=1e-6)  # of any printed table
    assert t_quantile(9) == pytest.approx(2.262157, abs=1e-6)


def test_bootstrap_against_scipys() -> None:
    values = torch.from_numpy(np.random.default_rng(0).gamma(2.0, size=(1063, 2)))  # skewed
    ours = bootstrap_intervals(list(values.T), Families(range(1063)), resamples=5000)
    for column, (low, high) in zip(values.T.numpy(), ours, strict=True):
        expected = scipy.stats.bootstrap(
            (column,), np.mean, n_resamples=5000, method="percentile", rng=np.random.default_rng(1)
        ).confidence_interval
        width = expected.high - expected.low
        assert low == pytest.approx(expected.low, abs=0.05 * width)
        assert high == pytest.approx(expected.high, abs=0.05 * width)


def test_bootstrap_of_families_against_scipys_of_a_ratio() -> None:
    """Families of unequal size, drawn by scipy as pairs of a sum and a number of images."""
    rng = np.random.default_rng(4)
    sizes = rng.integers(3, 20, 166)
    labels = rng.permutation(np.repeat(np.arange(166), sizes))
    values = rng.gamma(2.0, size=166)[labels] + rng.normal(size=len(labels))
    ((low, high),) = bootstrap_intervals([torch.from_numpy(values)], Families(labels), resamples=5000)
    expected = scipy.stats.bootstrap(
        (np.bincount(labels, weights=values), np.bincount(labels)),
        lambda sums, images, axis: sums.sum(axis=axis) / images.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=5000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    width = expected.high - expected.low
    assert low == pytest.approx(expected.low, abs=0.05 * width)
    assert high == pytest.approx(expected.high, abs=0.05 * width)
    alone = bootstrap_intervals([torch.from_numpy(values)], Families(range(len(labels))))[0]
    assert high - low > 1.8 * (alone[1] - alone[0])


@pytest.mark.parametrize("n", [5, 20, 400])
@pytest.mark.parametrize("copies", [1, 3])
def test_bootstrap_of_a_normal_mean_is_students_interval(n: int, copies: int) -> None:
    """Also where each image is there three times: copies are no evidence."""
    values = torch.from_numpy(scipy.stats.norm.ppf((np.arange(n) + 0.5) / n))  # no luck involved
    families = Families(np.repeat(np.arange(n), copies))
    ((low, high),) = bootstrap_intervals([values.repeat_interleave(copies)], families, resamples=8000)
    half = t_quantile(n - 1) * float(values.std(correction=1)) / n**0.5
    # With five families there are few different resamples, and a mean of them has no tail as far out as t's.
    assert (high - low) / 2 == pytest.approx(half, rel=0.12 if n == 5 else 0.05)


def test_resamples_are_the_same_for_all_columns_and_in_every_run() -> None:
    a = torch.randn(200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    families = Families(np.arange(200) // 3)
    (first,) = bootstrap_intervals([a], families)
    both = bootstrap_intervals([-a, 2.0 * a + 1.0], families)
    assert both[1] == pytest.approx((2 * first[0] + 1, 2 * first[1] + 1), rel=1e-12)
    assert both[0] == pytest.approx((-first[1], -first[0]), rel=1e-12)
    assert bootstrap_intervals([a, a.square()], families)[0] == first


def test_a_constant_is_certain() -> None:
    assert bootstrap_intervals([torch.full((50,), 0.25)], Families(np.arange(50) // 4)) == [(0.25, 0.25)]


def test_bad_values_are_named() -> None:
    with pytest.raises(ValueError, match="at least 2 families"):
        bootstrap_intervals([torch.ones(5)], Families([0] * 5))
    with pytest.raises(ValueError, match="finite"):
        bootstrap_intervals([torch.tensor([1.0, torch.inf])], Families(range(2)))


@pytest.mark.parametrize("n", [40, 57])  # equal groups of two, and groups of two and three
def test_jackknife_of_a_mean_is_its_standard_error(n: int) -> None:
    values = torch.randn(n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)

    groups = Families(range(n)).groups()
    value = float(values.mean())
    left_out = [float(np.delete(values.numpy(), group).mean()) for group in groups]
    low, high = jackknife_interval(value, left_out, [len(group) for group in groups])
    # Of independent groups' means with weights m/n: the textbook variance between groups.
    means = torch.stack([values[group].mean() for group in groups])
    weights = torch.tensor([len(group) for group in groups], dtype=torch.float64) / n
    variance = (weights / (1 - weights) * (means - value).square()).sum() / len(groups)
    assert (high - low) / 2 == pytest.approx(t_quantile(19) * float(variance) ** 0.5, rel=1e-9)
    assert (high + low) / 2 == pytest.approx(value)


def test_a_squared_distance_has_the_interval_of_its_root() -> None:
    values = torch.rand(60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def mean(rows: torch.Tensor) -> float:
        return float(np.delete(values.numpy(), rows).mean())

    groups = Families(range(60)).groups()
    root = jackknife_interval(mean(torch.tensor([]).long()), [mean(group) for group in groups], [3] * 20)
    value, low, high = jackknife(lambda rows: mean(rows) ** 2 - 7.0, Families(range(60)), floor=-7.0)
    assert (low, high) == pytest.approx((root[0] ** 2 - 7.0, root[1] ** 2 - 7.0))
    assert low < value < high
    # Nothing lies below the floor, however uncertain it is.
    low = jackknife(lambda rows: float(len(rows) > 0 and rows[0] == 0), Families(range(60)))[1]
    assert low == 0.0


def test_a_bias_that_shrinks_with_the_number_of_images_is_no_uncertainty() -> None:
    """A statistic 3 + 10/n of groups of unequal size has no variance: only n differs."""
    sizes = [2, 3] * 10
    left_out = [3 + 10 / (50 - size) for size in sizes]
    low, high = jackknife_interval(3 + 10 / 50, left_out, sizes)
    assert high - low < 1e-12


def test_too_few_families_have_no_interval() -> None:
    for families in (Families(range(9)), Families([0] * 500), Families(np.arange(400) % 5)):
        assert jackknife(lambda rows: 1.0, families) == (1.0, None, None)


def test_splits_that_share_nothing_have_students_interval() -> None:
    """And what they share widens it: the jackknife's covariance of two splits, here that of the groups' own part."""
    values = np.random.default_rng(3).normal(size=10)
    expected = scipy.stats.t.interval(0.95, 9, loc=values.mean(), scale=scipy.stats.sem(values))
    nothing = np.tile(values, (20, 1))
    assert splits_interval(values, nothing, [5] * 20) == pytest.approx(expected, rel=1e-12)
    # Each group's own part of a mean, the same in every split, leaves all splits when the group does.
    parts = np.random.default_rng(4).normal(size=20) * 10
    left_out = values + ((parts.sum() - parts) / 19 - parts.mean())[:, None]
    low, high = splits_interval(values, left_out, [5] * 20)
    shared, own = parts.var(ddof=1) / 20, values.var(ddof=1) / 10
    freedom = (shared + own) ** 2 / (shared**2 / 19 + own**2 / 9)
    assert (low + high) / 2 == pytest.approx(values.mean())
    assert (high - low) / 2 == pytest.approx(t_quantile(freedom) * (shared + own) ** 0.5, rel=1e-9)
