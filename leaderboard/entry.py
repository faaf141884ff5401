"""What the gate judges: a scorecard that belongs to the submission at hand, or the newest row of the board."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leaderboard import board
from submission.competition import Competition
from submission.errors import CompetitionError, MissingPart, UsageError, shown
from submission.folder import Submission
from submission.scorecard import METRICS, Scorecard
from submission.suspicions import RuleCheck

_BYTES_LIMIT = 16 * 2**20


def measured(target: Path | None, competition: Competition, local: Path = board.LOCAL) -> dict[str, Any]:
    """`name`, `submission`, `n`, `scores` and `rules` of the entry at `target`, for `gate.evaluate`.

    `target` is a scorecard's JSON, or a submission (folder or zip) whose scorecard lies beside it; without one, the
    newest row of the board `local` counts. Raises MissingPart when there is no scorecard of these very bytes and these
    prompts, SubmissionError when the submission breaks rules, UsageError for a scorecard of another competition.
    """
    if target is None:
        return _newest(competition, local)
    if target.suffix == ".json" and target.is_file():
        return _card(_load(target), competition, target)
    if not target.exists():
        raise MissingPart("there is no submission to check", looked_for=target, get_it="make score")
    path = scorecard_path(target)
    submission = Submission.open(target, competition)
    if not path.is_file():
        raise MissingPart("the submission has no scorecard yet", looked_for=path, get_it=_score(target, competition))
    card = _load(path)
    if (
        card.ranks and card.submission != submission.sha256
    ):  # a part has another hash; the gate says what it thinks of it
        raise MissingPart(
            "the submission changed after it was scored", looked_for=path, get_it=_score(target, competition)
        )
    return _card(card, competition, path)


def scorecard_path(submission: Path) -> Path:
    """Where `make score` writes the scorecard of a submission: beside it, as `<submission>.scorecard.json`."""
    return submission.with_name(f"{submission.name}.scorecard.json")


def _score(target: Path, competition: Competition) -> str:
    return f"make score SUBMISSION={target} COMPETITION={competition.name}"


def _load(path: Path) -> Scorecard:
    if path.stat().st_size > _BYTES_LIMIT:
        raise CompetitionError(f"{shown(str(path))}: larger than {_BYTES_LIMIT >> 20} MiB; that is not a scorecard")
    try:
        return Scorecard.from_json(path.read_bytes())
    except ValueError as error:
        raise CompetitionError(f"{shown(str(path))}: {error}") from None


def _card(card: Scorecard, competition: Competition, path: Path) -> dict[str, Any]:
    if card.competition != competition.name:
        raise UsageError(f"{path} is a scorecard of {shown(card.competition)}, not of {competition.name}")
    if other := _measured_otherwise(card.fingerprint, competition):
        raise MissingPart(
            f"the scorecard was measured with another {other}", looked_for=path, get_it="score the submission again"
        )
    rules = competition.rules
    if card.suspicions is None and rules.limits:
        raise MissingPart(
            "the scorecard does not say whether images were copied",
            looked_for=path,
            get_it="score the submission again",
        )
    findings = card.suspicions.findings if card.suspicions is not None else {}
    checks = rules.check(findings, card.scores, whole=card.ranks)
    return {"name": card.name, "submission": card.submission, "n": card.n, "scores": card.scores, "rules": checks}


def _measured_otherwise(fingerprint: Mapping[str, str | int | None], competition: Competition) -> str:
    """What the fingerprint and the competition disagree in, or nothing: thresholds hold for one protocol only."""
    expected = {
        "prompt list": ("prompts_sha256", competition.prompts_sha256),
        "Inception": ("inception", competition.backbones.inception),
        "CLIP": ("clip", competition.backbones.clip),
    }
    return ", ".join(what for what, (key, value) in expected.items() if fingerprint.get(key) != value)


def _newest(competition: Competition, local: Path) -> dict[str, Any]:
    rows = [
        row
        for row in board.read(local)
        if row.competition == competition.name
        and row.status in ("ok", "suspect")
        and not _measured_otherwise(row.measured_by, competition)
    ]
    if not rows:
        raise MissingPart(f"nothing of {competition.name} was scored yet", looked_for=local, get_it="make score")
    row = rows[-1]
    scores = {metric: row.score(metric) for metric in METRICS}
    checks = [check for check in competition.rules.check({}, scores) if check.rule.startswith("bounds.")]
    if row.status == "suspect":
        checks.append(RuleCheck("status", None, False, "it was found suspect when it was scored, see its scorecard"))
    return {"name": row.name, "submission": row.submission_sha256, "n": row.n, "scores": scores, "rules": checks}
