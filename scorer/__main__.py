"""`python -m scorer SUBMISSION --competition C`: measure, print, write the scorecard, add the row to the board.

`python -m scorer protocols` explains what can measure, `python -m scorer cache` shows what is kept between runs,
`python -m scorer statistics` makes the statistics that a competition measures FID against.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from leaderboard import board, comparison, editing, show
from scorer import Scorer, cache, parallel, statistics
from scorer.networks import protocols
from scorer.parallel import Processes
from scorer.scorecard_text import print_scorecard
from scorer.setup import Settings
from submission import Competition, CompetitionError, MissingPart, Scorecard, SubmissionError, atomic, commands
from submission.atomic import check_kept, check_writable
from submission.competition import own_files
from submission.errors import UsageError, exit_code, run, shown
from submission.judging import Tier
from submission.metrics import METRICS

PROBLEMS_WRITTEN = 1000

ALIKE_SHOWN = 5


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["cache"]:
        return cache.main(words[1:])
    if words[:1] == ["statistics"]:
        return statistics.main(words[1:])
    if words == ["protocols"]:
        print(protocols.explanation())
        return 0
    arguments = _parser().parse_args(words)
    try:
        return _command(arguments)
    except (SubmissionError, CompetitionError, MissingPart, UsageError) as error:
        if arguments.problems is not None:
            with contextlib.suppress(OSError):  # stderr has the answer, too
                atomic.write_json(arguments.problems, refusal(error))
        raise


def _command(arguments: argparse.Namespace) -> int:
    # What would fail after minutes of work fails before them.
    competition = Competition.load(arguments.competition)
    files = {"--json": arguments.json, "--csv": arguments.csv, "--problems": arguments.problems}
    ranking = None if arguments.no_leaderboard else arguments.leaderboard
    check_writable({**files, "--leaderboard": ranking}, makes_folder={"--leaderboard"})
    kept = {
        "the board": arguments.leaderboard,
        "the board's history": editing.history_path(arguments.leaderboard),
        "the submission": arguments.submission,
        **own_files(arguments.competition),
        "the file of Inception's weights": arguments.inception_weights,
        "the file of CLIP's weights": arguments.clip_weights,
    }
    check_kept(files, kept)
    if ranking is not None:
        board.check(ranking, competition.name, arguments.name)
    processes = parallel.start()
    try:
        return _score(arguments, competition, ranking, processes)
    finally:
        parallel.stop()


def _score(arguments: argparse.Namespace, competition: Competition, ranking: Path | None, processes: Processes) -> int:
    options = {name: value for name, value in vars(arguments).items() if name in Settings.__dataclass_fields__}
    scorer = Scorer(competition, **options, processes=processes)
    try:
        scored = scorer.score(arguments.submission, arguments.name)
    except SubmissionError:
        if processes.first:
            raise
        return 3  # the first process says why, for all
    if not processes.first:
        return 0
    # The row first: whoever reads only the first lines of what is printed has it too. Whatever fails now, what was
    # measured is printed.
    card = scored.card
    outputs: tuple[tuple[Path | None, Callable[[Path], list[str] | None]], ...] = (
        (ranking, lambda path: _to_board(path, card, competition.tiers)),
        (arguments.json, lambda path: atomic.write_text(path, card.to_json())),
        (arguments.csv, scored.write_per_image),
    )
    lines: list[str] = []
    failures: list[Exception] = []
    for path, write in outputs:
        try:
            if path is not None:
                lines += write(path) or []
        except Exception as error:
            failures.append(error)
    try:
        console = Console()
        print_scorecard(console, card)
        for line in lines:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        sys.stdout.flush()
    finally:
        for failure in failures[1:]:
            print(f"error: {shown(str(failure), 400)}", file=sys.stderr)
        if failures:
            raise failures[0]
    return 0


def refusal(error: Exception) -> dict[str, Any]:
    """Why nothing was scored, for `--problems`: the exit code, the message, and the first PROBLEMS_WRITTEN problems."""
    problems = getattr(error, "problems", [])[:PROBLEMS_WRITTEN]
    return {
        "exit_code": exit_code(error),
        "message": str(error).encode("utf-8", "backslashreplace").decode(),
        "problems": [{key: shown(text, 1000) for key, text in asdict(problem).items()} for problem in problems],
    }


def _to_board(path: Path, card: Scorecard, tiers: Sequence[Tier]) -> list[str]:
    """Add the row; what happened, in lines."""
    added = board.append(path, card)
    if isinstance(added, board.NotAdded):
        return [f"Not added to the board: {added.reason}"]
    if isinstance(added, board.AlreadyThere):
        return [f"These images are already on the board {path}, as {added.row.name}"]
    lines = [f"Added to the board {path}, as {added.row.name}"]
    for entry in added.alike[:ALIKE_SHOWN]:
        lines.append(f"{show.ALIKE} {entry.words}{': the board says so on both' if entry.shown else ''}")
    if len(added.alike) > ALIKE_SHOWN:
        lines.append(f"{show.ALIKE} and {len(added.alike) - ALIKE_SHOWN} more entries")
    if added.last is not None:
        lines.append(comparison.with_last(added.row, added.last, tiers))
    return lines


def _parser() -> argparse.ArgumentParser:
    *others, last = (metric.label for metric in METRICS.values())
    listed = ", ".join(others)
    parser = argparse.ArgumentParser(
        prog="python -m scorer",
        description=f"Measure a submission: {listed} and {last}, and the verdict per tier.",
        epilog="exit codes: 0 scored, whatever the score; 2 wrong usage; 3 invalid submission or competition (nothing "
        "is written); 4 something needed is missing. Also: "
        f"`{commands.module('scorer protocols')}` (what can measure, and what it compares with), "
        f"`{commands.module('scorer cache')}` (what is kept between runs), "
        f"`{commands.module('scorer statistics')}` (what a competition measures FID against)",
    )
    add = parser.add_argument
    add("submission", type=Path, help="a folder or zip of images")
    add("--competition", default="bestiary", metavar="C", help="a shipped name, or a path (default: %(default)s)")
    add("--name", help="the entry's name (default: the manifest's model, or the submission's file name)")
    add("--json", type=Path, metavar="FILE", help="write the scorecard")
    add("--csv", type=Path, metavar="FILE", help="write the values of each image")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")
    add("--batch-size", type=int, default=64, metavar="B", help="images per batch (default: %(default)s)")
    add("--limit", type=int, metavar="N", help="score only the first N prompts, for trying out: does not rank")
    add("--extra", action="store_true", help="also KID, precision, recall, density, coverage and CMMD")
    text = "exact: float32; fast: bfloat16, other numbers that rank by themselves (default: %(default)s)"
    add("--precision", choices=("exact", "fast"), default="exact", help=text)
    add("--no-cache", dest="cache", action="store_false", help="measure anew, and keep nothing")
    add("--leaderboard", type=Path, default=board.LOCAL, metavar="FILE", help="the board (default: %(default)s)")
    add("--no-leaderboard", action="store_true", help="leave the board alone")
    add("--inception-weights", type=Path, metavar="FILE", help="Inception's weights on this disk")
    add("--clip-weights", type=Path, metavar="FILE", help="CLIP's weights on this disk")
    text = "let the code in a TorchScript file of Inception run, where its numbers alone are no known network"
    add("--trust-weights", action="store_true", help=text)
    add("--problems", type=Path, metavar="FILE", help="where nothing can be scored: write why, as JSON")
    return parser


if __name__ == "__main__":
    raise SystemExit(run(main))
