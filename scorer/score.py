"""Submission and competition in, scorecard out."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import torch

from scorer.attributes import attribute_hits
from scorer.cache import results as result_cache
from scorer.cheating import suspicions
from scorer.decoding import decoded
from scorer.device import exact_float32
from scorer.families import Families
from scorer.measure import Measured, measure
from scorer.networks.inception import BestiaryInception
from scorer.per_image import write_per_image
from scorer.setup import Settings, Setup
from submission import Competition, MissingPart, Problem, Scorecard, Submission, SubmissionError
from submission.errors import shown
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
    name: str | None = None,
    per_image: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Scorecard:
    """Measure a submission with all metrics and judge it by the competition's tiers.

    Args:
        submission: a submission, best opened with `verify=False` so that images are decoded once; or its path.
        competition: a competition, or its name or path.
        device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N".
        name: the entry's name; by default the manifest's model, else the submission's file name.
        per_image: where to write the per-image CSV, if anywhere.
        settings: more of `scorer.setup.Settings`, such as `limit`.

    Raises:
        SubmissionError: every problem of the submission at once, those of undecodable images included.
        CompetitionError: the competition's files are wrong.
        MissingPart: references or weights that are not on this machine.
        UsageError: a setting that cannot be.
    """
    scorer = Scorer(competition, device, **settings)
    scored = scorer.score(submission, name)
    if per_image is not None and scorer.settings.processes.first:
        scored.write_per_image(per_image)
    return scored.card


@dataclass(frozen=True)
class Scored:
    """A scorecard, and the columns of the per-image CSV (empty in all processes but the first)."""

    competition: Competition
    card: Scorecard
    columns: dict[str, list[float]]

    def write_per_image(self, path: str | os.PathLike[str]) -> None:
        prompts = self.competition.prompts[: self.card.n]
        names, texts = [prompt.image_name for prompt in prompts], [prompt.text for prompt in prompts]
        write_per_image(path, names, texts, self.columns)


class Scorer:
    """A competition, and what scores its submissions: `settings` are those of `scorer.setup.Settings`."""

    def __init__(
        self, competition: Competition | str | os.PathLike[str], device: str = "auto", **settings: Any
    ) -> None:
        self.settings = Settings(device, **settings)
        self.competition = competition if isinstance(competition, Competition) else Competition.load(competition)

    @cached_property
    def setup(self) -> Setup:
        """The networks, references and fingerprint. Raises MissingPart, CompetitionError, UsageError."""
        return Setup(self.competition, self.settings)

    @cached_property
    def families(self) -> Families:
        """Of the images that are scored."""
        return Families(self.competition.families[: self.settings.limit])

    def score(self, submission: Submission | str | os.PathLike[str], name: str | None = None) -> Scored:
        """Measure a submission, or look up what was measured before. Raises as `score` does."""
        processes = self.settings.processes
        if not isinstance(submission, Submission):
            submission = Submission.open(submission, self.competition, verify=False)
        # Not those of images that a limit leaves out: they may not be drawn yet.
        asked_for = {prompt.image_name for prompt in self.competition.prompts[: self.settings.limit]}
        left_out = set(submission.expected) - asked_for
        problems = [problem for problem in submission.problems if problem.name not in left_out]
        file, kept = None, None
        try:
            if problems:
                raise SubmissionError(problems, str(submission.path))
            setup = self.setup
            if self.settings.caches and processes.first:
                file = result_cache.result_file(submission, self.competition, self._facts())
                kept = result_cache.read(file, submission) if file else None
            known = processes.from_first(kept is not None)
            if not known:
                _ = setup.networks
        except (SubmissionError, MissingPart):
            self._report_all(submission, problems)
            raise
        entry = _entry_name(name, submission)
        found = kept if known else self._measured(submission, entry)
        if found and not known and file is not None:
            result_cache.write(file, *found, content_sha256(submission.hashes))
        card, columns = found or (None, {})
        if processes.count > 1:
            card = Scorecard.from_json(processes.from_first(card and card.to_json()))
        assert card is not None  # the first process has made it
        return Scored(self.competition, replace(card, name=entry), columns)

    def _measured(self, submission: Submission, entry: str) -> tuple[Scorecard, dict[str, list[float]]] | None:
        """The scorecard and the per-image columns; None in all processes but the first."""
        # torchmetrics takes a second to import, which a kept result does without.
        from scorer.results import pair_metrics, results_of

        competition, setup, settings = self.competition, self.setup, self.settings
        with torch.inference_mode(), exact_float32():
            measured = measure(submission, setup, pair_metrics(extra=settings.extra))
            if not settings.processes.first:
                return None
            results = results_of(measured, self.families)
            extra = results_of(measured, self.families, extra=True) if settings.extra else None
            hits = self._hits(measured)
            found = suspicions(submission, setup, measured.tables, results.scores)
        notes = [*submission.notes, *submission.image_notes, *self._notes(submission, measured), *results.notes]
        manifest = submission.manifest
        marked = mark(results.scores, competition.tiers, competition.marks)
        card = Scorecard(
            competition=competition.name,
            submission=content_sha256({name: submission.pixels[name] for name in setup.names}),
            name=entry,
            n=len(setup.names),
            scores=results.scores,
            tiers=judge(results.scores, competition.tiers),
            mark=no_mark(marked) if marked is not None and found.broken else marked,
            fingerprint=setup.fingerprint,
            notes=notes + (extra.notes if extra else []),
            accuracy={name: sum(values) / len(values) for name, values in hits.items()} if hits else None,
            context=results.context,
            ranks=settings.limit is None,
            manifest=manifest.model_dump(include={"model", "seed", "settings"}) if manifest else None,
            extra=extra.scores if extra else None,
            suspicions=found,
            look=look_of(split(measured.tables["hashes"].cpu().numpy())[1][:, 0]),
            created_at=datetime.now(UTC).strftime(TIME_FORMAT),
            families=self.families.count,
        )
        per_image = results.per_image | (extra.per_image if extra else {})
        return card, {name: values.tolist() for name, values in per_image.items()} | hits

    def _hits(self, measured: Measured) -> dict[str, list[float]]:
        """How well each image shows each attribute of its prompt, where the competition and its Inception know them."""
        inception, asked = self.setup.networks[0], self.competition.attributes()
        if asked is None or not isinstance(inception, BestiaryInception):
            return {}
        return attribute_hits(inception.attributes(measured.tables["inception"]), asked, self.setup.names)

    def _facts(self) -> dict[str, Any]:
        """What decides a scorecard besides the submission, the competition's files and the code."""
        setup, settings, where = self.setup, self.settings, self.settings.where
        cuda = where.type == "cuda"
        chip = torch.cuda.get_device_name(where) if cuda else torch.backends.cpu.get_cpu_capability()
        return {
            "by": setup.fingerprint,
            "extra": settings.extra,
            "precision": settings.precision,
            "device": f"{where.type} {chip}",  # whose kernels decide the last digits
            "torch": torch.__version__,
            "trust_weights": settings.trust_weights,
            "families": self.families.labels.tolist(),
            "statistics": setup.statistics and setup.statistics.n,
        }

    def _report_all(self, submission: Submission, problems: list[Problem]) -> None:
        """Decode what there is, so that all problems are reported at once, whatever this machine lacks.

        Raises SubmissionError where there are problems.
        """
        settings, references = self.settings, None
        names = [prompt.image_name for prompt in self.competition.prompts[: settings.limit]]
        everything = range(len(names)) if settings.processes.first else range(0)
        with contextlib.suppress(MissingPart):
            references = self.competition.references()
        for _ in decoded(submission, references, names, everything, problems, settings.batch_size, settings.progress):
            pass
        if problems:
            raise SubmissionError(problems, str(submission.path)) from None

    def _notes(self, submission: Submission, measured: Measured) -> list[str]:
        setup, (inception, clip) = self.setup, self.setup.networks
        notes = []
        if self.settings.limit is not None:
            of = f"{len(setup.names)} of {len(submission.expected)} images"
            notes.append(f"scored the first {of}, for trying out: does not rank")
        if truncated := clip.truncated(setup.texts):
            notes.append(f"{truncated} prompts are longer than CLIP reads; it sees only their beginning")
        if submission.manifest and submission.manifest.resizing:
            notes.append(f"the images were resized when drawn: {submission.manifest.resizing}")
        if inception.note:
            notes.append(inception.note)
        if (statistics := setup.statistics) is not None:
            note = "the FID is against the given statistics"
            if measured.unpaired:
                note += f" of {statistics.n:,} images" if statistics.n is not None else ""
                note += ", and its interval for other prompts and the same statistics"
                if setup.references is not None:
                    note += "; CLIP-I, PSNR and SSIM are against the prompts' own references"
            else:
                note += ", which are those of the prompts' own references"
            notes.append(note)
        return notes


def _entry_name(name: str | None, submission: Submission) -> str:
    """The entry's name: the one that was given, the manifest's model, or the submission's file name, printable."""
    model = submission.manifest.model if submission.manifest else ""
    path = submission.path.resolve()
    own = path.name if path.is_dir() else path.stem  # a dot in a folder's name begins no suffix
    candidates = (name or "", model, own, "submission")
    return next(shown(text.strip(), 200) for text in candidates if text.strip())
