"""Metrics on request, from the features that the six scores are made of: KID, PRDC and CMMD."""

from __future__ import annotations

from dataclasses import asdict

import torch
from torch import Tensor

from scorer.cmmd import cmmd
from scorer.confidence import jackknife
from scorer.families import Families
from scorer.kid import KernelInceptionDistance
from scorer.prdc import K, prdc
from submission.metrics import EXTRA_METRICS
from submission.scorecard import Score


def extra_metrics(
    measured: dict[str, Tensor],
    known: dict[str, Tensor],
    families: Families,
    no_references: str | None,
    device: torch.device,
) -> dict[str, Score]:
    """Every metric of EXTRA_METRICS: all of them compare with the references' features, of `inception` and `clip`.

    Args:
        measured: features `inception` (N, D) and `clip` (N, E) of the submission.
        known: with references, theirs: `reference_inception` and `reference_clip`.
        families: of the images, for the intervals.
        no_references: why there are no references, None when there are.
        device: where to compute.
    """
    n = len(measured["inception"])
    if no_references is not None:
        return {name: Score(None, reason=no_references) for name in EXTRA_METRICS}
    if n <= K:
        return {name: Score(None, reason=f"there are only {n} images") for name in EXTRA_METRICS}
    features, references = measured["inception"], known["reference_inception"]
    distance = KernelInceptionDistance(features, references, device, paired=True)
    scores = {"kid": Score(*jackknife(distance.without, families, distance.floor), families.why_too_few)}
    scores |= {name: Score(value) for name, value in asdict(prdc(features, references, device=device)).items()}
    return scores | {"cmmd": Score(cmmd(measured["clip"], known["reference_clip"], device))}
