"""What the gate judges: what this machine's scorer measured, or a scorecard or row that the host asked to trust.

The scorer is another room, so it is another process. It writes its answer into a private folder; nothing that lies
beside the submission is read.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from leaderboard import board
from leaderboard.row import newest, rows_of
from submission import commands
from submission.child_process import environment, exit_code, module
from submission.competition import Competition
from submission.errors import CompetitionError, MissingPart, UsageError, shown
from submission.safe_read import NotReadable, read_regular
from submission.scorecard import RuleCheck, Score, Scorecard
from submission.submission import Submission

_BYTES_LIMIT = 16 * 2**20
_REFUSALS = (2, 3, 4)  # the exit codes that submission.errors gives


class NotMeasured(Exception):
    """The scorer has refused and said why on stderr: its exit code, its message, each problem that it named."""

    def __init__(self, exit_code: int, message: str, problems: Sequence[Mapping[str, str]] = ()) -> None:
        self.exit_code, self.problems = exit_code, list(problems)
        super().__init__(message)


@dataclass(frozen=True)
class Trusted:
    """A file that was believed because the command said `--trust`: its place and its sha256."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Entry:
    """What was measured on the `n` images of the submission with that sha256, and the verdicts on the rules.

    `ranks` is False when only a part was asked for; `trusted` None when it was measured here.
    """

    name: str
    submission: str
    n: int
    scores: Mapping[str, Score]
    rules: Sequence[RuleCheck] = field(default_factory=list)
    ranks: bool = True
    trusted: Trusted | None = None


def measured(target: Path, competition: Competition, given: str, options: Sequence[str] = ()) -> Entry:
    """The entry of a submission (folder or zip), as the scorer of this machine measures it or has measured it.

    `given` is what the command calls the competition; `options` are more of the scorer's, such as
    `--inception-weights FILE`; where the answer goes is not theirs to say. Raises NotMeasured, MissingPart when there
    is no submission, UsageError when `target` is a scorecard, which proves nothing.
    """
    if not target.exists():
        raise MissingPart(
            "there is no submission to check", looked_for=target, get_it=commands.make("score", "scorer SUBMISSION")
        )
    if target.suffix == ".json" and target.is_file():
        raise UsageError(
            f"{shown(str(target))} is a file that anyone could have written, no measurement: give the submission "
            "itself,\n  or say --trust with that file if you vouch for it"
        )
    with tempfile.TemporaryDirectory(prefix="drawoff-gate-") as folder:
        card, problems = Path(folder) / "scorecard.json", Path(folder) / "problems.json"
        answer = ["--json", str(card), "--problems", str(problems), "--no-leaderboard"]
        code = run_scorer([_as_path(target), *options, f"--competition={given}", *answer])
        if code == 0 and card.is_file():
            return _entry(Scorecard.from_json(card.read_bytes()), competition, str(target), None)
        if code == 130:
            raise KeyboardInterrupt
        try:
            refusal = json.loads(problems.read_bytes())
        except FileNotFoundError:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise NotMeasured(code if code in _REFUSALS else 4, f"the scorer {how} and measured nothing") from None
        raise NotMeasured(refusal["exit_code"], refusal["message"], refusal["problems"])


def trusted(file: Path, target: Path | None, competition: Competition) -> Entry:
    """The entry in `file`: a scorecard, or the newest row (that of `target`, if given) of a board (.csv).

    With a `target` the entry is that of its very bytes. Raises MissingPart when it is not, or was measured otherwise
    than the competition says; CompetitionError for a file that is neither, SubmissionError for an invalid `target`.
    """
    try:
        data = read_regular(file, _BYTES_LIMIT, follow=True)
    except NotReadable as error:
        raise MissingPart(f"the file to trust {error}", looked_for=shown(str(file))) from None
    pin = Trusted(shown(str(file)), hashlib.sha256(data).hexdigest())
    content = Submission.open(target, competition, progress=True).sha256 if target is not None else None
    if file.suffix == ".csv":
        return _row(board.parse(data, file).rows, pin, content, competition)
    try:
        card = Scorecard.from_json(data)
    except ValueError as error:
        raise CompetitionError(f"{shown(str(file))}: {error}") from None
    if content not in (None, card.submission):
        raise MissingPart(
            "the scorecard to trust is not of these images", looked_for=shown(str(file)), get_it="leave --trust out"
        )
    return _entry(card, competition, shown(str(file)), pin)


def _entry(card: Scorecard, competition: Competition, what: str, pin: Trusted | None) -> Entry:
    if card.competition != competition.name:
        raise UsageError(f"{what} is a scorecard of {shown(card.competition)}, not of {competition.name}")
    other = [part for part, (key, value) in _protocol(competition).items() if card.fingerprint.get(key) != value]
    if other:
        measured_otherwise = f"it was measured with another {', '.join(other)} than the competition's"
        raise MissingPart(measured_otherwise, looked_for=what, get_it="score it again")
    rules = competition.rules
    if card.suspicions is None and rules.limits:
        raise MissingPart(
            "the scorecard does not say whether images were copied",
            looked_for=what,
            get_it="score the submission again",
        )
    findings = card.suspicions.findings if card.suspicions is not None else {}
    checks = rules.check(findings, card.scores, whole=card.ranks)
    return Entry(card.name, card.submission, card.n, card.scores, checks, card.ranks, pin)


def _protocol(competition: Competition) -> dict[str, tuple[str, str]]:
    """What must have measured an entry, as thresholds hold for one protocol only: in words -> the field, its value."""
    return {
        "prompt list": ("prompts_sha256", competition.prompts_sha256),
        "Inception": ("inception", competition.backbones.inception),
        "CLIP": ("clip", competition.backbones.clip),
    }


def _row(rows: pd.DataFrame, pin: Trusted, content: str | None, competition: Competition) -> Entry:
    rows = rows[(rows["competition"] == competition.name) & rows["status"].isin(("ok", "suspect"))]
    for key, value in _protocol(competition).values():
        rows = rows[rows[key] == value]
    if content is not None:
        rows = rows[rows["submission_sha256"] == content]
    if not len(rows):
        of = competition.name if content is None else f"these images in {competition.name}"
        raise MissingPart(
            f"the board to trust has no row of {of}",
            looked_for=pin.file,
            get_it=commands.make("score", "scorer SUBMISSION"),
        )
    (row,) = rows_of(newest(rows))
    checks = [check for check in competition.rules.check({}, row.scores) if check.rule.startswith("bounds.")]
    if row.status == "suspect":
        checks.append(RuleCheck("status", None, False, "it was found suspect when it was scored, see its scorecard"))
    return Entry(row.name, row.submission_sha256, row.n, row.scores, checks, trusted=pin)


def run_scorer(arguments: Sequence[str]) -> int:
    """`python -m scorer` with these arguments, of the very checkout that this is part of; its exit code.

    Its progress and messages go to stderr as they come; what it prints of the scores is the gate's to say.
    """
    return exit_code(module("scorer", *arguments), env=environment(), stdout=subprocess.DEVNULL)


def _as_path(path: Path) -> str:
    """`path` as no option's and no subcommand's name, such as `cache`."""
    return str(path) if path.is_absolute() or path.parts[:-1] else f".{os.sep}{path}"
