"""From what was measured to the scores and their intervals, what to read them against, and the per-image values."""

from __future__ import annotations

import math
from inspect import Parameter, signature

from scorer.confidence import bootstrap_intervals
from scorer.families import Families
from scorer.measure import Measured, PairMetric
from scorer.metrics import PerImage, PerPair, Results, ScoredMetric, metric_classes
from submission.metrics import EXTRA_METRICS, METRICS
from submission.scorecard import Score


def pair_metrics(*, extra: bool = False) -> dict[str, PairMetric]:
    """The metrics of pixels, which are computed batch by batch during the one pass."""
    classes = [*metric_classes(), *(metric_classes(extra=True) if extra else ())]
    return {cls.names[0]: cls.of_batch for cls in classes if issubclass(cls, PerPair)}


def results_of(measured: Measured, families: Families, *, extra: bool = False) -> Results:
    """The results of the metrics of every scorecard, or with `extra` those on request.

    A metric without what it needs has no value, and the reason why.
    """
    total = Results()
    # Means last: their intervals are made in one call, which resamples the families once.
    for cls in sorted(metric_classes(extra=extra), key=lambda cls: issubclass(cls, PerImage)):
        if reason := _why_not(cls, measured, len(families)):
            total.scores |= dict.fromkeys(cls.names, Score(None, reason=reason))
            continue
        found = _filled(cls, measured).results(families)
        total.scores |= found.scores
        total.context |= found.context
        total.notes += found.notes
        total.per_image |= found.per_image
    _add_means(total, families)
    assert all(math.isfinite(value) for value in total.context.values())
    total.scores = {name: total.scores[name] for name in (EXTRA_METRICS if extra else METRICS)}
    return total


def _filled(cls: type[ScoredMetric], measured: Measured) -> ScoredMetric:
    metric = cls.of(measured).to(measured.device)
    if isinstance(metric, PerPair):
        metric.values.append(measured.tables[cls.names[0]])
    else:
        metric.update(**{name: measured.tables[name] for name in _tables_of(cls) if name in measured.tables})
    return metric


def _tables_of(cls: type[ScoredMetric]) -> dict[str, Parameter]:
    return {name: parameter for name, parameter in signature(cls.update).parameters.items() if name != "self"}


def _why_not(cls: type[ScoredMetric], measured: Measured, n: int) -> str | None:
    """Why a metric cannot be computed, None where it can."""
    if issubclass(cls, PerPair):
        small = f"some images have a side under {cls.smallest_side} pixels"
        return measured.no_references or (None if cls.names[0] in measured.tables else small)
    required = {name for name, parameter in _tables_of(cls).items() if parameter.default is Parameter.empty}
    if missing := required - measured.tables.keys():
        return measured.no_references or f"{', '.join(sorted(missing))} was not measured"
    return cls.too_few.format(n=n) if n < cls.fewest else None


def _add_means(results: Results, families: Families) -> None:
    """The scores of the metrics that are means of per-image values."""
    columns, reason = results.per_image, families.why_too_few
    intervals: list[tuple[float, float] | tuple[None, None]] = [(None, None)] * len(columns)
    if columns and not reason:
        intervals = [*bootstrap_intervals(list(columns.values()), families)]
    for (name, values), (low, high) in zip(columns.items(), intervals, strict=True):
        results.scores[name] = Score(float(values.double().mean()), low, high, reason)
