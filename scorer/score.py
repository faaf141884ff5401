"""Submission and competition in, scorecard out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from scorer import reference_cache
from scorer.attributes import attribute_hits
from scorer.backbones import BestiaryInception, Inception, load_inception
from scorer.clip import Clip, load_clip
from scorer.clip_similarity import distinct
from scorer.decoding import Pair, ahead, read_pair
from scorer.device import exact_float32, pick_device
from scorer.measure import measure_images, measure_texts
from scorer.metrics import PROTOCOL, evaluate
from scorer.per_image import write_per_image
from submission import Competition, MissingPart, Problem, Scorecard, Submission, SubmissionError
from submission.errors import UsageError
from submission.progress import track
from submission.references import References, content_sha256
from submission.scorecard import judge, mark


def score(
    submission: Submission | str | os.PathLike[str],
    competition: Competition | str | os.PathLike[str],
    device: str = "auto",
    *,
    batch_size: int = 64,
    limit: int | None = None,
    inception_weights: str | os.PathLike[str] | None = None,
    clip_weights: str | os.PathLike[str] | None = None,
    name: str | None = None,
    per_image: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Scorecard:
    """Measure a submission with all six metrics and judge it by the competition's tiers.

    Args:
        submission: a submission, best opened with `verify=False` so that images are decoded once; or its path.
        competition: a competition, or its name or path.
        device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N".
        batch_size: images per batch; it moves scores by rounding only.
        limit: score only the first so many prompts, for trying out; such a scorecard does not rank.
        inception_weights: Inception's weights on disk, instead of the standard places.
        clip_weights: CLIP's weights on disk, instead of what the competition names.
        name: the entry's name; by default the manifest's model, else the submission's file name.
        per_image: where to write the per-image CSV, if anywhere.
        progress: whether to show progress on stderr.

    Raises:
        SubmissionError: every problem of the submission at once, those of undecodable images included.
        CompetitionError: the competition's files are wrong.
        MissingPart: references or weights that are not on this machine.
        UsageError: a device, limit or batch size that cannot be.
    """
    if batch_size < 1 or (limit is not None and limit < 1):
        raise UsageError("the batch size and the limit are at least 1")
    where = pick_device(device)
    if not isinstance(competition, Competition):
        competition = Competition.load(competition)
    if not isinstance(submission, Submission):
        submission = Submission.open(submission, competition, verify=False)

    names = [prompt.image_name for prompt in competition.prompts[:limit]]
    problems = _problems_within(submission, names)
    try:
        if problems:
            raise SubmissionError(problems, str(submission.path))
        references, no_references = _references(competition)
        statistics = competition.statistics()
        inception = load_inception(competition.backbones.inception, where, _path(inception_weights))
        clip = load_clip(competition.backbones.clip, _clip_weights(competition), where, _path(clip_weights))
    except (SubmissionError, MissingPart):
        # Decode what there is, so that the participant hears of everything in one go, whatever this machine lacks.
        for _ in _decoded(submission, None, names, problems, batch_size, progress):
            pass
        if problems:
            raise SubmissionError(problems, str(submission.path)) from None
        raise
    fingerprint = _fingerprint(competition, references, inception, clip, len(names))
    texts, text_rows = distinct([prompt.text for prompt in competition.prompts[:limit]])

    with torch.inference_mode(), exact_float32():
        known, remember = _known_features(fingerprint, where, len(names), len(texts), references, limit)
        pairs = _decoded(submission, references, names, problems, batch_size, progress)
        measured = measure_images(
            _until_a_problem(pairs, problems),
            inception,
            clip,
            where,
            batch_size=batch_size,
            with_reference_features=known is None,
        )
        if problems:
            raise SubmissionError(problems, str(submission.path))
        if known is None:
            known = {key: measured.pop(key) for key in ("reference_inception", "reference_clip") if key in measured}
            known["text"] = measure_texts(texts, clip, batch_size, progress)
            remember(known)
        results = evaluate(
            measured,
            known,
            torch.tensor(text_rows, device=where),
            statistics,
            inception,
            no_references=no_references,
        )
        if isinstance(inception, BestiaryInception) and (asked := competition.attributes()) is not None:
            results.hits = attribute_hits(inception.attributes(measured["inception"]), asked, names)

    if per_image is not None:
        write_per_image(per_image, names, results.columns())
    return Scorecard(
        competition=competition.name,
        submission=submission.sha256 if limit is None else _sha256_of(submission, names),
        name=(name or "").strip()
        or (submission.manifest.model if submission.manifest else submission.path.resolve().stem),
        n=len(names),
        scores=results.scores,
        tiers=judge(results.scores, competition.tiers),
        mark=mark(results.scores, competition.tiers, competition.marks),
        fingerprint=fingerprint,
        notes=[*submission.notes, *_notes(submission, clip, texts, limit), *results.notes],
        accuracy=results.accuracy(),
        context=results.context,
        ranks=limit is None,
        manifest=submission.manifest.model_dump(include={"model", "seed", "settings"}) if submission.manifest else None,
    )


def _problems_within(submission: Submission, names: Sequence[str]) -> list[Problem]:
    """The problems on opening, without those of images that a limit leaves out (they may not be drawn yet)."""
    left_out = set(submission.expected) - set(names)
    return [problem for problem in submission.problems if problem.name not in left_out]


def _references(competition: Competition) -> tuple[References | None, str | None]:
    """The references, or None and the reason; a competition with precomputed statistics can do without them."""
    if not competition.has_references and competition.files["statistics"] is not None:
        return None, "the competition has precomputed statistics, no reference images"
    try:
        return competition.references(), None
    except MissingPart as error:
        if competition.files["statistics"] is None:
            raise
        return None, f"the reference images are not on this machine ({str(error).splitlines()[-1].strip()})"


def _decoded(
    submission: Submission,
    references: References | None,
    names: Sequence[str],
    problems: list[Problem],
    batch_size: int,
    progress: bool,
) -> Iterator[Pair]:
    """Every image that can be decoded, with its reference; what is wrong with the others is added to `problems`."""
    present = set(submission.names)
    rows = [(row, name) for row, name in enumerate(names) if name in present]
    found = ahead(lambda item: read_pair(submission, references, *item), rows, window=4 * batch_size)
    for pair in track(found, "scoring images", total=len(rows), show=progress):
        if isinstance(pair, Problem):
            problems.append(pair)
        else:
            yield pair


def _until_a_problem(pairs: Iterator[Pair], problems: list[Problem]) -> Iterator[Pair]:
    """The pairs; after the first problem the rest is decoded, to report all, but no longer measured."""
    for pair in pairs:
        if not problems:
            yield pair


def _clip_weights(competition: Competition) -> str | None:
    """The competition's clip_weights: a file beside its toml if there is one of that name, else a tag."""
    text = competition.backbones.clip_weights
    if text is None:
        return None
    path = competition.path(text)
    return str(path) if path.is_file() or Path(text).suffix in (".safetensors", ".pt", ".bin", ".pth") else text


def _fingerprint(
    competition: Competition, references: References | None, inception: Inception, clip: Clip, n: int
) -> dict[str, str | int | None]:
    """Everything that decides the numbers but the submission; scorecards with equal fingerprints rank together."""
    return {
        "protocol": PROTOCOL,
        "competition": competition.name,
        "inception": inception.name,
        "inception_sha256": inception.sha256,
        "clip": clip.name,
        "clip_sha256": clip.sha256,
        "references_sha256": references.sha256 if references is not None else None,
        "statistics_sha256": competition.statistics_sha256,
        "prompts_sha256": competition.prompts_sha256,
        "n": n,
    }


def _known_features(
    fingerprint: dict[str, str | int | None],
    device: torch.device,
    n: int,
    n_texts: int,
    references: References | None,
    limit: int | None,
) -> tuple[dict[str, Tensor] | None, Callable[[dict[str, Tensor]], None]]:
    """Features of references and prompts from an earlier run, if any, and how to keep them for the next one."""
    if limit is not None:
        return None, lambda _: None
    file = reference_cache.cache_file({**fingerprint, "device": device.type})
    rows = {"text": n_texts} | ({"reference_inception": n, "reference_clip": n} if references is not None else {})
    return reference_cache.read(file, rows, device), lambda tensors: reference_cache.write(file, tensors)


def _notes(submission: Submission, clip: Clip, texts: Sequence[str], limit: int | None) -> list[str]:
    notes = []
    if limit is not None:
        notes.append(
            f"scored the first {len(texts)} of {len(submission.expected)} prompts, for trying out: does not rank"
        )
    if truncated := clip.truncated(texts):
        notes.append(f"{truncated} prompts are longer than CLIP reads; it sees only their beginning")
    if submission.manifest and submission.manifest.resizing:
        notes.append(f"the images were resized when drawn: {submission.manifest.resizing}")
    return notes


def _sha256_of(submission: Submission, names: Sequence[str]) -> str:
    return content_sha256({name: hashlib.sha256(submission.read(name)[0]).hexdigest() for name in names})


def _path(path: str | os.PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path).expanduser()
