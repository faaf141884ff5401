"""The metrics on request: all of them from the features at hand, or the reason why not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from scorer.families import Families
from scorer.measure import Measured
from scorer.metrics.cmmd import cmmd
from scorer.metrics.kid import kernel_inception_distance
from scorer.metrics.prdc import prdc
from scorer.results import results_of
from submission.metrics import EXTRA_METRICS
from submission.scorecard import Score


def tables(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, 6, generator=generator), torch.randn(n, 4, generator=generator)


def on_request(
    inception: torch.Tensor, clip: torch.Tensor, references: dict[str, torch.Tensor], no_references: str | None = None
) -> dict[str, Score]:
    tables = {"inception": inception, "clip": clip, **references}
    measured = Measured(tables, lambda features: features, torch.device("cpu"), no_references)
    return results_of(measured, Families(range(len(inception))), extra=True).scores


def test_each_is_the_function_of_its_name() -> None:
    (inception, clip), (real_inception, real_clip) = tables(40, 0), tables(40, 1)
    scores = on_request(inception, clip, {"reference_inception": real_inception, "reference_clip": real_clip})
    assert scores.keys() == EXTRA_METRICS.keys()
    assert scores["kid"].value == pytest.approx(kernel_inception_distance(inception, real_inception), rel=1e-9)
    assert scores["kid"].low < scores["kid"].value < scores["kid"].high
    assert scores["cmmd"] == Score(cmmd(clip, real_clip))
    found = prdc(inception, real_inception)
    for name in ("precision", "recall", "density", "coverage"):
        assert scores[name] == Score(getattr(found, name))


@pytest.mark.parametrize(("n", "no_references", "reason"), [(40, "statistics only", "statistics only"), (5, None, "5")])
def test_what_cannot_be_measured_says_why(n: int, no_references: str | None, reason: str) -> None:
    inception, clip = tables(n, 2)
    references = {} if no_references else {"reference_inception": inception, "reference_clip": clip}
    scores = on_request(inception, clip, references, no_references)
    assert scores.keys() == EXTRA_METRICS.keys()
    assert all(score.value is None and reason in score.reason for score in scores.values())


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("metric", "shape", "reference_shape", "complaint"),
    [
        (kernel_inception_distance, (1, 12), (5, 12), "at least 2"),
        (kernel_inception_distance, (5, 3), (5, 4), "different networks"),
        (prdc, (5, 8), (9, 8), "more than 5"),
        (prdc, (9, 3), (9, 4), "dimensions"),
        (cmmd, (0, 4), (3, 4), "CMMD"),
        (cmmd, (3, 5), (3, 4), "CMMD"),
    ],
)
def test_too_few_rows_and_other_dimensions_are_named(
    metric: Callable, shape: tuple[int, int], reference_shape: tuple[int, int], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        metric(torch.rand(shape), torch.rand(reference_shape))
