"""From features to the six scores, the numbers to read them against, and the per-image values."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from scorer.backbones import Inception
from scorer.clip_similarity import cosines, mismatched
from scorer.fidelity import PSNR_CAP, SMALLEST_SIDE
from scorer.frechet import feature_statistics, frechet_distance
from scorer.inception_score import SPLITS, inception_score
from submission import CompetitionError
from submission.scorecard import Score

# Raised whenever the same images and weights would get other numbers; rows of different protocols never rank together.
PROTOCOL = 1


@dataclass
class Results:
    """The scores, `context` to read them against, `per_image` values (N,), `hits` per attribute, and `notes`."""

    scores: dict[str, Score] = field(default_factory=dict)
    context: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    per_image: dict[str, Tensor] = field(default_factory=dict)
    hits: dict[str, list[float]] | None = None

    def columns(self) -> dict[str, list]:
        """The per-image values as columns of a table."""
        return {name: values.tolist() for name, values in self.per_image.items()} | (self.hits or {})

    def accuracy(self) -> dict[str, float] | None:
        """The share of images that show each attribute as asked."""
        return None if self.hits is None else {name: sum(hits) / len(hits) for name, hits in self.hits.items()}

    def add_mean(self, name: str, values: Tensor) -> None:
        """A metric that is the mean of per-image values."""
        self.per_image[name] = values
        self.scores[name] = Score(float(values.double().mean()))


def evaluate(
    measured: dict[str, Tensor],
    known: dict[str, Tensor],
    text_rows: Tensor,
    statistics: tuple[np.ndarray, np.ndarray] | None,
    inception: Inception,
    *,
    no_references: str | None,
) -> Results:
    """The six scores.

    Args:
        measured: `inception`, `clip`, and with references `psnr` and `ssim`, of the submission (measure_images).
        known: `text` (T, E) of the distinct prompts; with references `reference_inception` and `reference_clip`.
        text_rows: (N,) each image's row in `text`.
        statistics: precomputed mean and covariance, used for FID instead of the references'.
        inception: the network, for its class probabilities.
        no_references: why there are no references, None when there are.
    """
    results = Results()
    n = len(measured["inception"])
    results.scores["fid"] = _fid(measured["inception"], known.get("reference_inception"), statistics)
    if no_references is None:
        results.add_mean("clip_i", cosines(measured["clip"], known["reference_clip"]))
    else:
        results.scores["clip_i"] = Score(None, reason=no_references)
    results.add_mean("clip_t", cosines(measured["clip"], known["text"][text_rows]))
    if n >= SPLITS:
        mean, std = inception_score(inception.log_probabilities(measured["inception"]))
        results.scores["is"], results.context["is_std"] = Score(mean), std
    else:
        results.scores["is"] = Score(None, reason=f"{SPLITS} splits need at least {SPLITS} images, there are {n}")
    _add_fidelity(results, measured, no_references)
    _add_context(results, measured, known, text_rows)
    return results


def _fid(
    features: Tensor, reference_features: Tensor | None, statistics: tuple[np.ndarray, np.ndarray] | None
) -> Score:
    if len(features) < 2:
        return Score(None, reason="a covariance needs at least 2 images")
    if statistics is None:
        assert reference_features is not None, "a competition has references or statistics"
        return _not_negative(frechet_distance(features, *feature_statistics(reference_features)))
    if len(statistics[0]) != features.shape[1]:
        raise CompetitionError(
            f"the competition's statistics have {len(statistics[0])} features, its Inception {features.shape[1]}: "
            "they were made with another network"
        )
    return _not_negative(frechet_distance(features, *statistics))


def _not_negative(distance: float) -> Score:
    # Rounding leaves −1e-12 or so between equal sets, which would be printed as −0.00 and beat every other.
    return Score(max(distance, 0.0))


def _add_fidelity(results: Results, measured: dict[str, Tensor], no_references: str | None) -> None:
    if no_references is not None:
        results.scores["psnr"] = results.scores["ssim"] = Score(None, reason=no_references)
        return
    identical = int(torch.isinf(measured["psnr"]).sum())
    if identical:
        results.notes.append(
            f"{identical} {'image is' if identical == 1 else 'images are'} identical to the reference, pixel by pixel"
            f" (PSNR counted as {PSNR_CAP:.0f} dB)"
        )
    results.add_mean("psnr", measured["psnr"].clamp(max=PSNR_CAP))
    if "ssim" in measured:
        results.add_mean("ssim", measured["ssim"])
    else:
        results.scores["ssim"] = Score(None, reason=f"some images have a side under {SMALLEST_SIDE} pixels")


def _add_context(results: Results, measured: dict[str, Tensor], known: dict[str, Tensor], text_rows: Tensor) -> None:
    """CLIP-T lies between what wrong prompts give and what the real images give."""
    if "reference_clip" in known:
        of_references = cosines(known["reference_clip"], known["text"][text_rows])
        results.context["clip_t_references"] = float(of_references.mean())
    n_texts = len(known["text"])
    if n_texts > 1:
        wrong = known["text"][mismatched(text_rows, n_texts)]
        results.context["clip_t_shuffled"] = float(cosines(measured["clip"], wrong).mean())
    assert all(math.isfinite(value) for value in results.context.values())
