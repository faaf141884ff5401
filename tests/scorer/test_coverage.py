"""The intervals are honest: of many submissions from one generator, 95 in 100 hold what they aim at.

A generator is a distribution of features, a submission 160 draws from it; the references are fixed. A metric's target
is its expected value at that number of images, here its mean over many more submissions.
"""

from __future__ import annotations

import pytest
import torch

from scorer.clip_similarity import cosines
from scorer.confidence import jackknife
from scorer.frechet import FrechetDistance, feature_statistics, frechet_distance
from scorer.inception_score import inception_score
from scorer.kid import kernel_inception_distance
from scorer.metrics import evaluate
from scorer.tables import Tables

N, SUBMISSIONS, MORE = 160, 200, 800
D, E, K = 10, 8, 6  # dimensions of Inception's features and of CLIP's embeddings, classes
TEXT = torch.tensor([[1.0] * E, [1.0, 0.0] * (E // 2)])


class Classes:
    """The part of a feature network that `evaluate` uses: class probabilities."""

    def __init__(self) -> None:
        self.head = torch.randn(D, K, generator=torch.Generator().manual_seed(1)) * 1.5

    def log_probabilities(self, features: torch.Tensor) -> torch.Tensor:
        return (features @ self.head).double().log_softmax(dim=1)


def inception_features(seed: int, n: int, d: int, shift: float) -> torch.Tensor:
    """Non-negative, skewed and correlated."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(d // 2, d, generator=torch.Generator().manual_seed(2)) / (d / 2) ** 0.5
    latent = torch.randn(n, d // 2, generator=generator)
    return torch.relu(latent @ mixing + shift + 0.3 * torch.randn(n, d, generator=generator))


def draw(seed: int, n: int = N) -> dict[str, torch.Tensor]:
    """What `evaluate` takes of a submission: features, embeddings around the references', skewed PSNR and SSIM."""
    generator = torch.Generator().manual_seed(10**6 + seed)
    quality = torch.randn(n, generator=generator, dtype=torch.float64)
    return {
        "inception": inception_features(seed, n, D, shift=0.2),
        "clip": torch.randn(n, E, generator=generator) + 1.0 + 0.2 * quality[:, None].float(),
        "psnr": 12.0 + 3.0 * (0.5 * quality).exp(),
        "ssim": torch.sigmoid(quality + 0.5 * torch.randn(n, generator=generator)),
    }


def share_that_holds(target: float, scores: list[tuple[float, float]]) -> float:
    return sum(low <= target <= high for low, high in scores) / len(scores)


def test_95_of_100_intervals_hold_their_target() -> None:
    classes, rows = Classes(), torch.arange(N) % 2
    references = inception_features(10**7, N, D, shift=0.0)
    known = {"reference_inception": references, "reference_clip": torch.ones(N, E), "text": TEXT}
    results = [
        evaluate(Tables(draw(seed), known), rows, classes, no_references=None, extra=True)
        for seed in range(SUBMISSIONS)
    ]
    scores = {name: [result.scores[name] for result in results] for name in results[0].scores}
    scores["kid"] = [result.extra["kid"] for result in results]

    # Means have the expected value of one image, however many there are; the others theirs at this N.
    many = draw(10**8, 200_000)
    targets = {
        "clip_i": cosines(many["clip"], TEXT[:1].expand(200_000, -1)),
        "clip_t": cosines(many["clip"], TEXT.repeat(100_000, 1)),
        "psnr": many["psnr"],
        "ssim": many["ssim"],
    }
    statistics = feature_statistics(references)
    submissions = [inception_features(seed, N, D, shift=0.2) for seed in range(10**4, 10**4 + MORE)]
    targets["fid"] = torch.tensor([frechet_distance(features, *statistics) for features in submissions])
    targets["kid"] = torch.tensor([kernel_inception_distance(features, references) for features in submissions])
    targets["is"] = torch.tensor([inception_score(classes.log_probabilities(features))[0] for features in submissions])

    shares = {
        name: share_that_holds(float(values.double().mean()), [(score.low, score.high) for score in scores[name]])
        for name, values in targets.items()
    }
    assert shares.keys() == {"fid", "clip_i", "clip_t", "is", "psnr", "ssim", "kid"}
    assert not {name: share for name, share in shares.items() if not 0.90 <= share <= 0.99}


@pytest.mark.parametrize(("n", "d"), [(63, 96), (100, 97)])
def test_fid_of_fewer_images_than_dimensions(n: int, d: int) -> None:
    """Its matrix is another one, and its bias in N is large: it is in the target, not in the interval."""
    statistics = feature_statistics(inception_features(10**7, 400, d, shift=0.0))
    found = [
        jackknife(FrechetDistance(inception_features(seed, n, d, 0.2), *statistics).without, n)
        for seed in range(SUBMISSIONS)
    ]
    more = range(10**4, 10**4 + 2 * SUBMISSIONS)
    others = [frechet_distance(inception_features(seed, n, d, 0.2), *statistics) for seed in more]
    share = share_that_holds(sum(others) / len(others), [(low, high) for _, low, high in found])
    assert 0.90 <= share <= 0.99
