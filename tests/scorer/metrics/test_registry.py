"""Each metric is a row and a file, and a torchmetrics.Metric: in batches, in several processes, beside any other."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.image import PeakSignalNoiseRatio

from scorer.families import Families
from scorer.frechet import feature_statistics, frechet_distance
from scorer.metrics import PerPair, ScoredMetric, metric_classes
from scorer.metrics.fid import FID
from scorer.metrics.inception_score import InceptionScore, inception_score
from scorer.metrics.psnr import psnr
from submission.metrics import EXTRA_METRICS, METRICS

N = 60
HEAD = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))


def log_probabilities(features: Tensor) -> Tensor:
    return (features @ HEAD).double().log_softmax(dim=1)


@pytest.fixture(scope="module")
def tables() -> dict[str, Tensor]:
    """What a batch of a training loop has, by the names of the one pass."""
    generator = torch.Generator().manual_seed(0)
    normal = {name: torch.randn(N, 6, generator=generator) for name in ("inception", "reference_inception")}
    normal |= {name: torch.randn(N, 8, generator=generator) + 1 for name in ("clip", "reference_clip", "text")}
    pixels = torch.randint(256, (2, N, 3, 12, 10), generator=generator, dtype=torch.uint8)
    return normal | {"images": pixels[0], "references": pixels[1]}


def build(cls: type[ScoredMetric]) -> ScoredMetric:
    return cls(log_probabilities) if cls is InceptionScore else cls()


def every_class() -> list[type[ScoredMetric]]:
    return [*metric_classes(), *metric_classes(extra=True)]


def fill(metric: ScoredMetric, tables: dict[str, Tensor], parts: list[slice]) -> ScoredMetric:
    collection = MetricCollection([metric], compute_groups=False)
    for part in parts:
        collection.update(**{name: table[part] for name, table in tables.items()})
    return metric


def values_of(computed: Tensor | dict[str, Tensor]) -> dict[str, float]:
    return {name: float(v) for name, v in (computed if isinstance(computed, dict) else {"": computed}).items()}


def test_each_row_has_a_class_that_agrees_on_the_direction() -> None:
    rows = METRICS | EXTRA_METRICS
    assert [name for cls in metric_classes() for name in cls.names] == list(METRICS)
    assert [name for cls in metric_classes(extra=True) for name in cls.names] == list(EXTRA_METRICS)
    for cls in every_class():
        assert {rows[name].higher_is_better for name in cls.names} == {cls.higher_is_better}


def test_a_row_without_a_file_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, "lpips", METRICS["fid"])
    with pytest.raises(LookupError, match="lpips"):
        metric_classes()


@pytest.mark.parametrize("cls", every_class(), ids=lambda cls: cls.__name__)
def test_batches_are_one_table(cls: type[ScoredMetric], tables: dict[str, Tensor]) -> None:
    whole = fill(build(cls), tables, [slice(None)])
    batches = fill(build(cls), tables, [slice(start, start + 7) for start in range(0, N, 7)])
    assert values_of(batches.compute()) == pytest.approx(values_of(whole.compute()), rel=1e-12)
    scores = whole.results(Families(range(N))).scores
    computed = values_of(whole.compute())
    for name, score in scores.items():
        assert score.value == pytest.approx(computed.get(name, next(iter(computed.values()))), rel=1e-9)
    again = pickle.loads(pickle.dumps(whole)) if cls is not InceptionScore else whole
    assert values_of(again.compute()) == computed
    whole.reset()
    assert fill(whole, tables, [slice(0, 30)]).compute() != batches.compute()


@pytest.mark.parametrize("cls", every_class(), ids=lambda cls: cls.__name__)
def test_processes_join_their_states(cls: type[ScoredMetric], tables: dict[str, Tensor]) -> None:
    """What torchmetrics does in `compute`, with the other process's states handed over here instead of sent."""
    half = N // 2
    first, second = (fill(build(cls), tables, [part]) for part in (slice(0, half), slice(half, N)))
    others = iter([torch.cat(value) for name in first._defaults if (value := getattr(second, name))])

    def sent(value: Tensor, group: object) -> list[Tensor]:
        return [value, next(others)]

    first.sync(dist_sync_fn=sent, distributed_available=lambda: True)
    first._to_sync = False
    whole = fill(build(cls), tables, [slice(None)])
    assert values_of(first.compute()) == pytest.approx(values_of(whole.compute()), rel=1e-12)


def test_beside_a_metric_of_torchmetrics(tables: dict[str, Tensor]) -> None:
    ours, theirs = FID(), PeakSignalNoiseRatio(data_range=255.0, reduction="elementwise_mean", dim=(1, 2, 3))
    collection = MetricCollection([ours, theirs, *(build(cls) for cls in every_class() if issubclass(cls, PerPair))])
    pixels = {"preds": tables["images"].float(), "target": tables["references"].float()}
    collection.update(**tables, **pixels)
    found = collection.compute()
    features, references = tables["inception"], tables["reference_inception"]
    assert float(found["FID"]) == pytest.approx(frechet_distance(features, *feature_statistics(references)), rel=1e-12)
    assert float(found["PeakSignalNoiseRatio"]) == pytest.approx(float(found["PSNR"]), rel=1e-6)
    assert float(found["PSNR"]) == float(psnr(tables["images"], tables["references"]).mean())


def test_the_inception_score_is_the_function_s(tables: dict[str, Tensor]) -> None:
    metric = fill(InceptionScore(log_probabilities), tables, [slice(None)])
    mean, deviation = inception_score(log_probabilities(tables["inception"]))
    results = metric.results(Families(range(N)))
    assert (results.scores["is"].value, results.context["is_std"]) == pytest.approx((mean, deviation), rel=1e-12)


def test_statistics_stand_in_for_references(tables: dict[str, Tensor]) -> None:
    statistics = feature_statistics(tables["reference_inception"])
    against: Callable[..., FID] = lambda **options: FID(statistics, **options)  # noqa: E731
    alone = against()
    alone.update(tables["inception"])
    paired = FID()
    paired.update(tables["inception"], tables["reference_inception"])
    assert float(alone.compute()) == pytest.approx(float(paired.compute()), rel=1e-12)
    # Unpaired, the statistics stay when a family is left out: another interval of the same value.
    one, other = (metric.results(Families(range(N))).scores["fid"] for metric in (alone, paired))
    assert one.value == pytest.approx(other.value, rel=1e-12)
    assert one.high != other.high
