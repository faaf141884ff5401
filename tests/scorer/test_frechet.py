"""The Fréchet distance against clean-fid's own, against a closed form, and against its defining properties."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from cleanfid.fid import frechet_distance as clean_fid_frechet_distance

from scorer import frechet
from scorer.families import Families
from scorer.frechet import FrechetDistance, PairedFrechetDistance, feature_statistics, frechet_distance

# Inception's 2048 features take clean-fid's matrix root half a minute: for once in a while.
LARGE = [(1063, 2048)] if os.environ.get("DRAWOFF_TEST_LARGE") else []


def relu_features(n: int, d: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """Correlated, non-negative and float32, as Inception's pooled features are."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(1).normal(size=(d // 4, d)) / np.sqrt(d // 4)
    return np.maximum(rng.normal(size=(n, d // 4)) @ mixing + 0.3 * rng.normal(size=(n, d)) + shift, 0).astype(
        np.float32
    )


def numpy_statistics(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.mean(features.astype(np.float64), axis=0), np.cov(features, rowvar=False)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:cleanfid")
@pytest.mark.usefixtures("any_scipy")
@pytest.mark.parametrize(
    ("n", "d"),
    [(300, 256), (1063, 256), (5000, 256), (266, 512), *LARGE],
)
def test_against_clean_fid(n: int, d: int) -> None:
    generated, reference = relu_features(n, d, seed=2, shift=0.1), relu_features(max(n, 400), d, seed=3)
    mean, covariance = numpy_statistics(reference)
    expected = clean_fid_frechet_distance(*numpy_statistics(generated), mean, covariance)
    ours = frechet_distance(generated, mean, covariance)
    assert abs(ours - expected) <= max(2e-5, 1e-6 * abs(expected))


@pytest.mark.parametrize(("n", "d"), [(40, 64), (64, 64), (500, 64)])
def test_identical_features_are_at_distance_zero(n: int, d: int) -> None:
    features = relu_features(n, d, seed=4)
    assert abs(frechet_distance(features, *feature_statistics(features))) < 1e-5


@pytest.mark.parametrize(("n", "m"), [(30, 50), (30, 300), (300, 200)])
def test_symmetric_whichever_route_each_side_takes(n: int, m: int) -> None:
    a, b = relu_features(n, 64, seed=5), relu_features(m, 64, seed=6, shift=0.2)
    forth, back = frechet_distance(a, *feature_statistics(b)), frechet_distance(b, *feature_statistics(a))
    # A rank-deficient side has zero eigenvalues, whose rounding (1e-16) shows after the square root.
    assert forth == pytest.approx(back, rel=1e-9, abs=2e-5)


def test_closed_form_of_commuting_covariances() -> None:
    """Features with diagonal covariance diag(s²): the distance is |Δμ|² + Σ (s₁ − s₂)²."""
    d = 8
    s1, s2 = np.linspace(1, 3, d), np.linspace(2, 0.5, d)
    # ± each axis: mean 0 and covariance exactly diag(s1²).
    unit = np.concatenate([np.eye(d), -np.eye(d)]) * np.sqrt((2 * d - 1) / 2)
    distance = frechet_distance(unit * s1 + 5.0, np.full(d, 3.0), np.diag(s2**2))
    assert distance == pytest.approx(4.0 * d + ((s1 - s2) ** 2).sum(), rel=1e-12)


def test_statistics_are_float64_and_numpys() -> None:
    features = relu_features(200, 32, seed=7)
    mean, covariance = feature_statistics(torch.from_numpy(features))
    assert mean.dtype == covariance.dtype == torch.float64
    expected_mean, expected_covariance = numpy_statistics(features)
    np.testing.assert_allclose(mean.numpy(), expected_mean, rtol=1e-12)
    np.testing.assert_allclose(covariance.numpy(), expected_covariance, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    ("features", "mean", "message"),
    [
        (np.ones((1, 4)), np.zeros(4), "at least 2"),
        (np.full((5, 4), np.nan), np.zeros(4), "NaN"),
        (np.ones((5, 4)), np.full(4, np.inf), "infinite"),
        (np.ones((5, 3)), np.zeros(4), "different networks"),
        (np.ones(5), np.zeros(4), "N×D"),
    ],
)
def test_bad_input_is_named_and_does_not_hang(features: np.ndarray, mean: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frechet_distance(features, mean, np.eye(4))


@pytest.mark.parametrize(("n", "d"), [(60, 96), (100, 97), (300, 64)])
def test_without_some_images_is_the_distance_of_the_others(n: int, d: int) -> None:
    """Also where all images are as many as dimensions and the others are fewer."""
    features, reference = relu_features(n, d, seed=8, shift=0.1), feature_statistics(relu_features(500, d, seed=9))
    distance = FrechetDistance(features, *reference)
    for rows in Families(range(n)).groups()[:4]:
        expected = frechet_distance(np.delete(features, rows, axis=0), *reference)
        assert distance.without(rows) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="only 1 would be left"):
        distance.without(torch.arange(n - 1))


def test_features_in_parts_and_mapped_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, reference = relu_features(300, 64, seed=10), feature_statistics(relu_features(400, 64, seed=11))
    whole = frechet_distance(features, *reference)
    features.tofile(tmp_path / "features")
    mapped = torch.from_file(str(tmp_path / "features"), size=features.size).view(300, 64)
    monkeypatch.setattr(frechet, "CHUNK", 77)
    assert frechet_distance(mapped, *reference) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize(("n", "d"), [(60, 96), (100, 97), (97, 97), (300, 64)])
def test_without_some_pairs_is_the_distance_of_the_other_pairs(n: int, d: int) -> None:
    """Also where a dimension is in no reference, and where it is in none but those left out."""
    features, references = relu_features(n, d, seed=8, shift=0.1), relu_features(n, d, seed=9)
    references[:, 3] = 0.0
    references[:, 7] = 0.0
    references[10:13, 7] = 1.0
    images = FrechetDistance(features, *feature_statistics(references))
    distance = PairedFrechetDistance(images, references)
    for rows in (*Families(range(n)).groups()[:3], torch.arange(10, 14), torch.empty(0, dtype=torch.int64)):
        left = [np.delete(table, rows.numpy(), axis=0) for table in (features, references)]
        expected = frechet_distance(left[0], *feature_statistics(left[1]))
        assert distance.without(rows) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="only 1 would be left"):
        distance.without(torch.arange(n - 1))
    with pytest.raises(ValueError, match="not in pairs"):
        PairedFrechetDistance(images, references[:-1])
