"""The registry of metrics: a file each in this folder, and a row each in `submission/metrics.py`. No list to edit."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from scorer.metrics.base import PerImage, PerPair, Results, ScoredMetric
from submission.metrics import EXTRA_METRICS, METRICS

__all__ = ["PerImage", "PerPair", "Results", "ScoredMetric", "metric_classes"]


def metric_classes(*, extra: bool = False) -> list[type[ScoredMetric]]:
    """The classes of the metrics of every scorecard, in the order of their rows; with `extra`, those on request."""
    found: dict[str, type[ScoredMetric]] = {}
    for module in iter_modules(__path__, f"{__name__}."):
        for member in vars(import_module(module.name)).values():
            if isinstance(member, type) and issubclass(member, ScoredMetric) and member.__module__ == module.name:
                found |= dict.fromkeys(member.names, member)
    rows = EXTRA_METRICS if extra else METRICS
    if found.keys() != METRICS.keys() | EXTRA_METRICS.keys():
        odd = sorted(found.keys() ^ (METRICS.keys() | EXTRA_METRICS.keys()))
        raise LookupError(f"a row in submission/metrics.py without a class in scorer/metrics, or the reverse: {odd}")
    return list(dict.fromkeys(found[name] for name in rows))
