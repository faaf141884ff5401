"""Submission and competition in, scorecard out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import torch

from scorer import result_cache
from scorer.attributes import attribute_hits
from scorer.cheating import suspicions
from scorer.clip_similarity import distinct
from scorer.decoding import decoded
from scorer.device import PRECISIONS, exact_float32, pick_device
from scorer.families import Families
from scorer.gathering import gather
from scorer.metrics import Results, evaluate
from scorer.networks.clip import Clip
from scorer.networks.inception import BestiaryInception, Inception
from scorer.parallel import ALONE, Processes
from scorer.per_image import write_per_image
from scorer.setup import Setup, prepare
from submission import Competition, MissingPart, Problem, Scorecard, Submission, SubmissionError
from submission.errors import UsageError, shown
from submission.hashes import content_sha256
from submission.image_hashes import split
from submission.judging import judge, mark, no_mark
from submission.scorecard import TIME_FORMAT
from submission.similarity_digest import look_of


def score(
    submission: Submission | str | os.PathLike[str],
    competition: Competition | str | os.PathLike[str],
    device: str = "auto",
    *,
    batch_size: int = 64,
    limit: int | None = None,
    inception_weights: str | os.PathLike[str] | None = None,
    clip_weights: str | os.PathLike[str] | None = None,
    trust_weights: bool = False,
    name: str | None = None,
    per_image: str | os.PathLike[str] | None = None,
    extra: bool = False,
    precision: str = "exact",
    cache: bool = True,
    processes: Processes = ALONE,
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
        trust_weights: whether the code in a TorchScript file of Inception may run, where its numbers alone are no
            network that is known here.
        name: the entry's name; by default the manifest's model, else the submission's file name.
        per_image: where to write the per-image CSV, if anywhere.
        extra: whether to measure KID, PRDC and CMMD as well, from the same features.
        precision: "exact" (float32, the reference implementations' numbers) or "fast" (bfloat16: other numbers, under
            another fingerprint).
        cache: whether to use and keep what is known of references, prompts and submissions that were scored before.
        processes: those that score together; each returns the same scorecard, the first one writes.
        progress: whether to show progress on stderr.

    Raises:
        SubmissionError: every problem of the submission at once, those of undecodable images included.
        CompetitionError: the competition's files are wrong.
        MissingPart: references or weights that are not on this machine.
        UsageError: a device, limit, precision or batch size that cannot be.
    """
    if not isinstance(competition, Competition):
        competition = Competition.load(competition)
    card, columns = score_each(
        submission, competition, device, batch_size=batch_size, limit=limit, inception_weights=inception_weights,
        clip_weights=clip_weights, trust_weights=trust_weights, name=name, extra=extra, precision=precision,
        cache=cache, processes=processes, progress=progress,
    )  # fmt: skip
    if per_image is not None and processes.first:
        prompts = competition.prompts[:limit]
        names, texts = [prompt.image_name for prompt in prompts], [prompt.text for prompt in prompts]
        write_per_image(per_image, names, texts, columns)
    return card


def score_each(
    submission: Submission | str | os.PathLike[str],
    competition: Competition,
    device: str = "auto",
    *,
    batch_size: int = 64,
    limit: int | None = None,
    inception_weights: str | os.PathLike[str] | None = None,
    clip_weights: str | os.PathLike[str] | None = None,
    trust_weights: bool = False,
    name: str | None = None,
    extra: bool = False,
    precision: str = "exact",
    cache: bool = True,
    processes: Processes = ALONE,
    progress: bool = True,
) -> tuple[Scorecard, dict[str, list[float]]]:
    """`score`, and the columns of the per-image CSV (empty in all processes but the first)."""
    if batch_size < 1 or (limit is not None and limit < 1):
        raise UsageError("the batch size and the limit are at least 1")
    if precision not in PRECISIONS:
        raise UsageError(f"precision {precision!r}: write one of {', '.join(PRECISIONS)}")
    where = pick_device(device)
    if not isinstance(submission, Submission):
        submission = Submission.open(submission, competition, verify=False)
    names = [prompt.image_name for prompt in competition.prompts[:limit]]
    problems = _problems_within(submission, names)
    kept, kept_in = None, None
    try:
        if problems:
            raise SubmissionError(problems, str(submission.path))
        weights = _path(inception_weights), _path(clip_weights)
        setup = prepare(competition, len(names), *weights, precision, trust_weights)
        families = Families(competition.families[:limit])
        if cache and limit is None and processes.first:
            facts = {"by": setup.fingerprint, "extra": extra, "precision": precision}
            facts |= {"device": _kind(where), "torch": torch.__version__, "trust_weights": trust_weights}
            facts["families"] = families.labels.tolist()
            facts["statistics"] = setup.statistics and setup.statistics.n
            kept_in = result_cache.result_file(submission, competition, facts)
            kept = result_cache.read(kept_in, submission) if kept_in else None
        known_already = processes.from_first(kept is not None)
        if not known_already:
            inception, clip = setup.inception.load(where), setup.clip.load(where)
    except (SubmissionError, MissingPart):
        # Decode what there is, so that the participant hears of everything in one go, whatever this machine lacks.
        everything = range(len(names)) if processes.first else range(0)
        references = None
        with contextlib.suppress(MissingPart):
            references = competition.references()
        for _ in decoded(submission, references, names, everything, problems, batch_size, progress):
            pass
        if problems:
            raise SubmissionError(problems, str(submission.path)) from None
        raise

    entry = _entry_name(name, submission)
    card, columns = (replace(kept[0], name=entry), kept[1]) if kept is not None else (None, {})
    if not known_already:
        texts, text_rows = distinct([prompt.text for prompt in competition.prompts[:limit]])
        with torch.inference_mode(), exact_float32():
            tables = gather(
                submission, setup, inception, clip, names, texts, where, problems, processes,
                batch_size=batch_size, cache=cache and limit is None, progress=progress and processes.first,
            )  # fmt: skip
            if processes.first:
                rows = torch.tensor(text_rows, device=where)
                no_references = setup.no_references
                results = evaluate(tables, rows, inception, families, no_references=no_references, extra=extra)
                if isinstance(inception, BestiaryInception) and (asked := competition.attributes()) is not None:
                    results.hits = attribute_hits(inception.attributes(tables.measured["inception"]), asked, names)
                found = suspicions(submission, setup, names, tables.measured, tables.known, results.scores)
        if processes.first:
            notes = _notes(submission, inception, clip, texts, None if limit is None else len(names))
            if setup.statistics is not None:
                notes.append(_note_on_statistics(setup, unpaired=tables.unpaired))
            card = _scorecard(submission, competition, setup, names, entry, results, notes, ranks=limit is None)
            look = look_of(split(tables.measured["hashes"].cpu().numpy())[1][:, 0])
            card = replace(card, suspicions=found, look=look, families=families.count)
            if card.mark is not None and card.suspect:
                card = replace(card, mark=no_mark(card.mark))
            columns = results.columns()
            if kept_in is not None:
                result_cache.write(kept_in, card, columns, content_sha256(submission.hashes))
    if processes.count > 1:
        card = Scorecard.from_json(processes.from_first(card and card.to_json()))
    assert card is not None  # the first process has made it
    return card, columns


def _scorecard(
    submission: Submission,
    competition: Competition,
    setup: Setup,
    names: Sequence[str],
    entry: str,
    results: Results,
    notes: Sequence[str],
    *,
    ranks: bool,
) -> Scorecard:
    manifest = submission.manifest
    return Scorecard(
        competition=competition.name,
        submission=content_sha256({name: submission.pixels[name] for name in names}),
        name=entry,
        n=len(names),
        scores=results.scores,
        tiers=judge(results.scores, competition.tiers),
        mark=mark(results.scores, competition.tiers, competition.marks),
        fingerprint=setup.fingerprint,
        notes=[*submission.notes, *submission.image_notes, *notes, *results.notes],
        accuracy=results.accuracy(),
        context=results.context,
        ranks=ranks,
        manifest=manifest.model_dump(include={"model", "seed", "settings"}) if manifest else None,
        extra=results.extra,
        created_at=datetime.now(UTC).strftime(TIME_FORMAT),
    )


def _entry_name(name: str | None, submission: Submission) -> str:
    """The entry's name: the one that was given, the manifest's model, or the submission's file name, printable."""
    model = submission.manifest.model if submission.manifest else ""
    path = submission.path.resolve()
    own = path.name if path.is_dir() else path.stem  # a dot in a folder's name begins no suffix
    candidates = (name or "", model, own, "submission")
    return next(shown(text.strip(), 200) for text in candidates if text.strip())


def _problems_within(submission: Submission, names: Sequence[str]) -> list[Problem]:
    """The problems on opening, without those of images that a limit leaves out (they may not be drawn yet)."""
    left_out = set(submission.expected) - set(names)
    return [problem for problem in submission.problems if problem.name not in left_out]


def _notes(
    submission: Submission, inception: Inception, clip: Clip, texts: Sequence[str], part: int | None
) -> list[str]:
    """The notes of a scorecard; `part` is how many images a limit left, None without one."""
    notes = []
    if part is not None:
        notes.append(f"scored the first {part} of {len(submission.expected)} images, for trying out: does not rank")
    if truncated := clip.truncated(texts):
        notes.append(f"{truncated} prompts are longer than CLIP reads; it sees only their beginning")
    if submission.manifest and submission.manifest.resizing:
        notes.append(f"the images were resized when drawn: {submission.manifest.resizing}")
    return notes + ([inception.note] if inception.note else [])


def _note_on_statistics(setup: Setup, *, unpaired: bool) -> str:
    statistics = setup.statistics
    of = f" of {statistics.n:,} images" if statistics is not None and statistics.n is not None else ""
    if not unpaired:
        return "the FID is against the given statistics, which are those of the prompts' own references"
    also = "" if setup.references is None else "; CLIP-I, PSNR and SSIM are against the prompts' own references"
    return (
        f"the FID is against the given statistics{of}, and its interval for other prompts and the same statistics{also}"
    )


def _kind(device: torch.device) -> str:
    """The kind of the device, whose kernels decide the last digits."""
    if device.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    return f"{device.type} {torch.backends.cpu.get_cpu_capability()}"


def _path(path: str | os.PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path).expanduser()
