"""`python -m scorer SUBMISSION --competition C`: measure, print, write the scorecard, add the row to the board.

`python -m scorer protocols` explains what can measure, `python -m scorer cache` shows what is kept between runs,
`python -m scorer statistics` makes the statistics that a competition measures FID against.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from leaderboard import better, board, editing, outputs, table
from scorer import cache, protocols, statistics
from submission import Competition, Scorecard, SubmissionError, atomic, commands
from submission.errors import UsageError, run

if TYPE_CHECKING:
    from scorer.parallel import Processes

ALIKE_SHOWN = 5


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in `argv`; the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["cache"]:
        return cache.main(words[1:])
    if words[:1] == ["statistics"]:
        return statistics.main(words[1:])
    if words == ["protocols"]:
        print(protocols.explanation())
        return 0
    arguments = _parser().parse_args(words)
    # What would fail after minutes of work fails before them.
    for path in (arguments.json, arguments.csv):
        if path is not None and path.is_dir():
            raise UsageError(f"{path} is a folder; name the file to write")
        if path is not None and not path.absolute().parent.is_dir():
            raise UsageError(f"{path}: there is no folder {path.parent}")
    competition = Competition.load(arguments.competition)
    outputs.check({"--json": arguments.json, "--csv": arguments.csv}, _kept(arguments, competition))
    if not arguments.no_leaderboard:
        board.content(arguments.leaderboard)
        if arguments.name is not None:
            board.check_name(arguments.leaderboard, competition.name, arguments.name)
    from scorer import parallel  # imports torch

    processes = parallel.start()
    try:
        return _score(arguments, processes)
    finally:
        parallel.stop()


def _score(arguments: argparse.Namespace, processes: Processes) -> int:
    from scorer.report import print_scorecard
    from scorer.score import score

    try:
        card = score(
            arguments.submission,
            arguments.competition,
            arguments.device,
            batch_size=arguments.batch_size,
            limit=arguments.limit,
            inception_weights=arguments.inception_weights,
            clip_weights=arguments.clip_weights,
            name=arguments.name,
            per_image=arguments.csv,
            extra=arguments.extra,
            precision=arguments.precision,
            cache=not arguments.no_cache,
            processes=processes,
        )
    except SubmissionError:
        if processes.first:
            raise
        return 3  # the first process tells, for all
    if not processes.first:
        return 0
    console = Console()
    # The files and the row first, for a reader of what is printed may leave; the scores are printed whatever happens.
    lines: list[str] = []
    try:
        try:
            if arguments.json is not None:
                atomic.write_text(arguments.json, card.to_json())
        finally:
            if not arguments.no_leaderboard:
                lines = _to_board(arguments.leaderboard, card)
    finally:
        print_scorecard(console, card)
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    return 0


def _to_board(path: Path, card: Scorecard) -> list[str]:
    """Add the row; what happened, in lines."""
    added = board.append(path, card)
    if isinstance(added, board.NotAdded):
        return [f"Not added to the board: {added.reason}"]
    if isinstance(added, board.AlreadyThere):
        return [f"These images are already on the board {path}, as {added.row.name}"]
    lines = [f"Added to the board {path}, as {added.row.name}"]
    lines += [f"{table.ALIKE} {entry.words}: the board says so on both" for entry in added.alike[:ALIKE_SHOWN]]
    if len(added.alike) > ALIKE_SHOWN:
        lines.append(f"{table.ALIKE} and {len(added.alike) - ALIKE_SHOWN} more entries")
    return lines + ([better.than(added.row, added.last)] if added.last is not None else [])


def _kept(arguments: argparse.Namespace, competition: Competition) -> dict[str, Path | None]:
    """What no output may replace, in words."""
    return {
        "the board": arguments.leaderboard,
        "the board's history": editing.history_path(arguments.leaderboard),
        "the submission": arguments.submission,
        "the competition's own file": competition.root / "competition.toml",
        **{f"the competition's {what}": path for what, path in competition.data_files()},
        "the file of Inception's weights": arguments.inception_weights,
        "the file of CLIP's weights": arguments.clip_weights,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scorer",
        description="Measure a submission: FID, CLIP-I, CLIP-T, IS, PSNR and SSIM, and the verdict per tier.",
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
    add(
        "--precision", choices=("exact", "fast"), default="exact",
        help="exact: float32; fast: bfloat16, other numbers that rank by themselves (default: %(default)s)",
    )  # fmt: skip
    add("--no-cache", action="store_true", help="measure anew, and keep nothing")
    add("--leaderboard", type=Path, default=board.LOCAL, metavar="FILE", help="the board (default: %(default)s)")
    add("--no-leaderboard", action="store_true", help="leave the board alone")
    add("--inception-weights", type=Path, metavar="FILE", help="Inception's weights on this disk")
    add("--clip-weights", type=Path, metavar="FILE", help="CLIP's weights on this disk")
    return parser


if __name__ == "__main__":
    sys.exit(run(main))
