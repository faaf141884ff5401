"""What the scorer of this machine says about a submission: measured now, or known by its content from before.

The scorer is another room, so it is another process. It writes its answer into a private folder; nothing that lies
beside the submission is read.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from submission import child
from submission.scorecard import Scorecard

_REFUSALS = (2, 3, 4)  # the exit codes that submission.errors gives


class NotMeasured(Exception):
    """The scorer has refused and said why on stderr: its exit code, its message, each problem that it named."""

    def __init__(self, exit_code: int, message: str, problems: Sequence[Mapping[str, str]] = ()) -> None:
        self.exit_code, self.problems = exit_code, list(problems)
        super().__init__(message)


def measure(submission: Path, competition: str, options: Sequence[str] = ()) -> Scorecard:
    """The scorecard of `submission` by `python -m scorer`, which no board hears of.

    `options` are more of the scorer's, such as `--inception-weights FILE`; where the answer goes is not theirs to say.
    Raises NotMeasured.
    """
    with tempfile.TemporaryDirectory(prefix="drawoff-gate-") as folder:
        card, problems = Path(folder) / "scorecard.json", Path(folder) / "problems.json"
        answer = ["--json", str(card), "--problems", str(problems), "--no-leaderboard"]
        code = run_scorer([_as_path(submission), *options, f"--competition={competition}", *answer])
        if code == 0 and card.is_file():
            return Scorecard.from_json(card.read_bytes())
        if code == 130:
            raise KeyboardInterrupt
        try:
            told = json.loads(problems.read_bytes())
        except FileNotFoundError:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise NotMeasured(code if code in _REFUSALS else 4, f"the scorer {how} and measured nothing") from None
        raise NotMeasured(told["exit_code"], told["message"], told["problems"])


def run_scorer(arguments: Sequence[str]) -> int:
    """`python -m scorer` with these arguments, of the very checkout that this is part of; its exit code.

    Its progress and messages go to stderr as they come; what it prints of the scores is the gate's to say.
    """
    return child.exit_code(child.module("scorer", *arguments), env=child.environment(), stdout=subprocess.DEVNULL)


def _as_path(path: Path) -> str:
    """`path` as no option's and no subcommand's name, such as `cache`."""
    return str(path) if path.is_absolute() or path.parts[:-1] else f".{os.sep}{path}"
