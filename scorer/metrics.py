"""From features to the six scores and their intervals, what to read them against, and the per-image values."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from scorer.clip_similarity import cosines, cosines_with_prompts, mismatched
from scorer.confidence import bootstrap_intervals, jackknife, splits_interval
from scorer.extra import extra_metrics
from scorer.families import Families
from scorer.fidelity import PSNR_CAP, SMALLEST_SIDE
from scorer.frechet import FrechetDistance, PairedFrechetDistance, feature_statistics
from scorer.inception_score import SPLITS, InceptionScore
from scorer.networks.inception import Inception
from scorer.tables import Tables
from submission.metrics import METRICS
from submission.scorecard import Score

# Raised whenever the same images and weights would get other numbers; rows of different protocols never rank together.
PROTOCOL = 1


@dataclass
class Results:
    """The scores, `context` to read them against, `per_image` values (N,), `hits` per attribute, `notes`, `extra`."""

    scores: dict[str, Score] = field(default_factory=dict)
    context: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    per_image: dict[str, Tensor] = field(default_factory=dict)
    hits: dict[str, list[float]] | None = None
    extra: dict[str, Score] | None = None

    def columns(self) -> dict[str, list]:
        """The per-image values as columns of a table."""
        return {name: values.tolist() for name, values in self.per_image.items()} | (self.hits or {})

    def accuracy(self) -> dict[str, float] | None:
        """The share of images that show each attribute as asked."""
        return None if self.hits is None else {name: sum(hits) / len(hits) for name, hits in self.hits.items()}

    def add_means(self, columns: dict[str, Tensor], families: Families) -> None:
        """Metrics that are means of per-image values; one call for all, which pairs their resamples."""
        self.per_image.update(columns)
        reason = families.why_too_few
        intervals = [(None, None)] * len(columns) if reason else bootstrap_intervals(list(columns.values()), families)
        for (name, values), interval in zip(columns.items(), intervals, strict=True):
            self.scores[name] = Score(float(values.double().mean()), *interval, reason=reason)


def evaluate(
    tables: Tables,
    text_rows: Tensor,
    inception: Inception,
    families: Families,
    *,
    no_references: str | None,
    extra: bool = False,
) -> Results:
    """The six scores, and `extra` ones on request.

    Args:
        tables: what was measured, and what is known of references and prompts.
        text_rows: (N,) each image's row in `text`, on the device to compute on (the features may be elsewhere).
        inception: the network, for its class probabilities.
        families: of the N images, whom the intervals draw anew.
        no_references: why there are no references, None when there are.
        extra: whether to measure KID, precision, recall, density, coverage and CMMD as well.
    """
    results = Results()
    measured, known = tables.measured, tables.known
    features = measured["inception"]
    results.scores["fid"] = _fid(tables, families, text_rows.device)
    means = {"clip_t": cosines_with_prompts(measured["clip"], known["text"], text_rows)}
    if no_references is None:
        means["clip_i"] = cosines(measured["clip"], known["reference_clip"])
        means |= _fidelity(results, measured)
    results.scores["is"] = _inception_score(results, features, inception, families, text_rows.device)
    results.add_means({name: means[name] for name in METRICS if name in means}, families)
    for name in ("clip_i", "psnr", "ssim"):
        if no_references is not None:
            results.scores[name] = Score(None, reason=no_references)
        elif name not in means:
            results.scores[name] = Score(None, reason=f"some images have a side under {SMALLEST_SIDE} pixels")
    results.scores = {name: results.scores[name] for name in METRICS}
    _add_context(results, measured, known, text_rows)
    if extra:
        results.extra = extra_metrics(measured, known, families, no_references, text_rows.device)
    return results


def _fid(tables: Tables, families: Families, device: torch.device) -> Score:
    features, statistics = tables.measured["inception"], tables.statistics
    references = None if tables.unpaired else tables.known.get("reference_inception")
    if len(features) < 2:
        return Score(None, reason="a covariance needs at least 2 images")
    if statistics is None:
        statistics = feature_statistics(tables.known["reference_inception"])
    if references is not None:
        distance = PairedFrechetDistance(features, references, *statistics, device, tables.moments)
    else:
        distance = FrechetDistance(features, *statistics, device, tables.moments)
    value, low, high = jackknife(distance.without, families)
    # Rounding leaves −1e-12 or so between equal sets, which would be printed as −0.00 and beat every other.
    return Score(max(value, 0.0), low, high, families.why_too_few)


def _inception_score(
    results: Results, features: Tensor, inception: Inception, families: Families, device: torch.device
) -> Score:
    n = len(features)
    if n < SPLITS:
        return Score(None, reason=f"{SPLITS} splits need at least {SPLITS} images, there are {n}")
    score = InceptionScore(features, inception.log_probabilities, device=device)
    results.context["is_std"] = float(score.splits.std(correction=0))
    value, (low, high) = float(score.splits.mean()), (None, None)
    reason = families.why_too_few
    groups = families.groups()
    if not reason and score.spares(groups):
        left_out = torch.stack([score.without(group) for group in groups])
        low, high = splits_interval(score.splits.tolist(), left_out.cpu().numpy(), [len(group) for group in groups])
        low = max(low, 1.0)
    elif not reason:
        reason = "no interval: without some families of prompts, a split would have no image"
    return Score(value, low, high, reason)


def _fidelity(results: Results, measured: dict[str, Tensor]) -> dict[str, Tensor]:
    identical = int(torch.isinf(measured["psnr"]).sum())
    if identical:
        results.notes.append(
            f"{identical} {'image is' if identical == 1 else 'images are'} identical to the reference, pixel by pixel"
            f" (PSNR counted as {PSNR_CAP:.0f} dB)"
        )
    values = {"psnr": measured["psnr"].clamp(max=PSNR_CAP)}
    return values | ({"ssim": measured["ssim"]} if "ssim" in measured else {})


def _add_context(results: Results, measured: dict[str, Tensor], known: dict[str, Tensor], text_rows: Tensor) -> None:
    """CLIP-T lies between what wrong prompts give and what the real images give."""
    if "reference_clip" in known:
        of_references = cosines_with_prompts(known["reference_clip"], known["text"], text_rows)
        results.context["clip_t_references"] = float(of_references.mean())
    n_texts = len(known["text"])
    if n_texts > 1:
        wrong = mismatched(text_rows, n_texts)
        results.context["clip_t_shuffled"] = float(cosines_with_prompts(measured["clip"], known["text"], wrong).mean())
    assert all(math.isfinite(value) for value in results.context.values())
