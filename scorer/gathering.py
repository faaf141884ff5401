"""From images to the tables of all metrics: by one process or several, less what the cache of references holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scorer import reference_cache
from scorer.decoding import decoded, until_a_problem
from scorer.frechet import Moments, feature_statistics, moments
from scorer.measure import measure_images, measure_texts
from scorer.networks.clip import Clip
from scorer.networks.inception import Inception
from scorer.parallel import Processes
from scorer.rows import Rows
from scorer.setup import Setup
from scorer.tables import Tables
from submission import Problem, Submission, SubmissionError

_ROUNDING = 3e-3  # as a share: of 8-bit resizes, of float32; statistics of other images differ by 1/√n and more


def gather(
    submission: Submission,
    setup: Setup,
    inception: Inception,
    clip: Clip,
    names: Sequence[str],
    texts: Sequence[str],
    device: torch.device,
    problems: list[Problem],
    processes: Processes,
    *,
    batch_size: int,
    cache: bool,
    progress: bool,
) -> Tables:
    """Every process measures its share of the images `names`; what is known of references and prompts is not measured.

    Args:
        texts: the distinct prompts.
        problems: what is wrong with images is added to it.
        cache: whether to use and keep what is known of references and prompts.

    Raises:
        SubmissionError: in each process, what any of them found wrong with the images.
        MissingPart: weights that give values that are not finite.
    """
    n = len(names)
    wanted = {"text": len(texts)}
    if setup.references is not None:
        wanted |= {"reference_inception": n, "reference_clip": n}
    files = reference_cache.cache_files(setup.fingerprint, names, device)
    known = reference_cache.read(files, wanted, device) if cache and processes.first else {}
    missing = set(processes.from_first(sorted(wanted.keys() - known.keys())))

    share = processes.share(n)
    pairs = decoded(submission, setup.references, names, share, problems, batch_size, progress)
    measured = measure_images(
        until_a_problem(pairs, problems),
        inception,
        clip,
        device,
        batch_size=batch_size,
        rows=Rows(len(share), share.start),
        of_references=missing,
    )
    found = processes.gather([asdict(problem) for problem in problems])
    if any(found):
        raise SubmissionError([Problem(**problem) for part in found for problem in part], str(submission.path))
    parts = processes.gather([dict(submission.hashes), dict(submission.pixels), submission.disguised])
    for hashes, pixels, disguised in parts:
        submission.take_hashes(hashes, pixels, disguised)
    summed = _summed_moments(measured, n, processes)
    measured = processes.gather_rows(measured, n, device)
    fresh = {name: measured.pop(name) for name in ("reference_inception", "reference_clip") if name in measured}
    if "text" in missing:
        part = measure_texts(texts, clip, batch_size, progress, processes.share(len(texts)))
        fresh |= processes.gather_rows(part, len(texts), device)
    known |= fresh
    statistics = None if setup.statistics is None else setup.statistics.moments
    unpaired = statistics is not None and processes.first and not _are_of(known.get("reference_inception"), statistics)
    if statistics is None and processes.first:
        summed_references = summed.get("reference_inception")
        statistics, more = _reference_statistics(known["reference_inception"], summed_references, files, cache)
        fresh |= more
    if cache and processes.first:
        reference_cache.write(files, fresh)
    return Tables(measured, known, statistics, summed.get("inception"), unpaired=unpaired)


def _are_of(features: Tensor | None, statistics: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether precomputed statistics are those of the prompts' own references, but for another tool's rounding."""
    if features is None or len(features) < 2:
        return False
    mean, covariance = (table.cpu().numpy() for table in feature_statistics(features))
    shift, change = np.linalg.norm(mean - statistics[0]), np.linalg.norm(covariance - statistics[1])
    return bool(shift <= _ROUNDING * np.trace(covariance) ** 0.5 and change <= _ROUNDING * np.linalg.norm(covariance))


def _summed_moments(measured: dict[str, Tensor], n: int, processes: Processes) -> dict[str, Moments]:
    """The moments of Inception's features, summed over the shares of several processes.

    Not where there are fewer images than features: the distance is computed without a covariance there.
    """
    tables = {name: measured[name] for name in ("inception", "reference_inception") if name in measured}
    if processes.count == 1 or n < processes.count or any(n < table.shape[1] for table in tables.values()):
        return {}
    return {name: moments(table, processes.total) for name, table in tables.items()}


def _reference_statistics(
    features: Tensor, summed: Moments | None, files: dict[str, Path], cache: bool
) -> tuple[tuple[np.ndarray, np.ndarray] | None, dict[str, Tensor]]:
    """Mean and covariance of the references, and those of them that are to be kept.

    None where there are fewer references than features: there they take longer to read than to make.
    """
    n, d = features.shape
    if n < d:
        return None, {}
    rows = {"reference_mean": d, "reference_covariance": d}
    kept = reference_cache.read(files, rows, features.device) if cache else {}
    if len(kept) == len(rows):
        return tuple(kept[name].cpu().numpy() for name in rows), {}
    made = feature_statistics(features) if summed is None else (summed.mean, summed.covariance)
    fresh = dict(zip(rows, made, strict=True))
    return tuple(table.cpu().numpy() for table in fresh.values()), fresh
