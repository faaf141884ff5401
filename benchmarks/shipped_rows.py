"""python -m benchmarks.shipped_rows: draw the shipped baselines again, score them, and write leaderboard/baselines.csv.

Whatever changes a number of every row (another way of making intervals, other weights, another chip) is answered by
this one command. Drawing goes on where it was interrupted, and what is drawn already is only scored. The board is
replaced at the end, as a whole: rows of models that were not asked for stay as they are. Also printed are the lines of
README's table. `nearest` and `mean-image` need the training images (`make data`).
"""

from __future__ import annotations

import argparse
import csv
import io
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from leaderboard import board
from leaderboard.row import COLUMNS, Row, from_scorecard, to_cells
from submission import Competition, Scorecard, atomic
from submission.errors import MissingPart, UsageError, run
from submission.metrics import METRICS

COMPETITION = "bestiary"
# Each row's name, and what draws it.
ROWS = {
    "stable": ("stable",),
    "glide": ("glide",),
    "glide-clip": ("glide-clip",),
    "vq": ("vq",),
    "clip-guided noised": ("clip-guided", "--guide", "noised"),
    "clip-guided finetuned": ("clip-guided", "--guide", "finetuned"),
    "clip-guided pretrained": ("clip-guided", "--guide", "pretrained"),
    "nearest": ("nearest",),
    "mean-image": ("mean-image",),
    "noise": ("noise",),
    "monster": ("monster",),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in `argv`; the exit code."""
    arguments = _parser().parse_args(argv)
    names = arguments.only.split(",") if arguments.only else list(ROWS)
    if unknown := [name for name in names if name not in ROWS]:
        raise UsageError(f"--only {', '.join(unknown)}: the rows are {', '.join(ROWS)}")
    cards = {name: _card(name, arguments.folder, arguments.device) for name in names}
    old = board.read(arguments.board)
    rows = replaced(old, cards)
    atomic.write_bytes(arguments.board, as_csv(rows))
    for line in readme_lines(cards):
        print(line)
    print(f"{len(cards)} rows of {len(rows)} are new: {arguments.board}")
    for row in rows:
        if row.families is None:
            print(f"  {row.name}: not drawn again; its interval is of an earlier version")
    return 0


def replaced(rows: Sequence[Row], cards: Mapping[str, Scorecard]) -> list[Row]:
    """The rows with those of `cards` in the place of the rows of their names, which may be new."""
    made = {name: from_scorecard(card) for name, card in cards.items()}
    kept = [made.pop(row.name, row) for row in rows]
    return kept + list(made.values())


def as_csv(rows: Sequence[Row]) -> bytes:
    """The rows as a board's file."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(to_cells(row) for row in rows)
    return buffer.getvalue().encode("utf-8")


def readme_lines(cards: Mapping[str, Scorecard]) -> list[str]:
    """The lines of README's table of baselines, best FID first."""
    lines = []
    for name, card in sorted(cards.items(), key=lambda item: item[1].scores["fid"].value or 0.0):
        digits = {**{metric: METRICS[metric].digits for metric in METRICS}, "ssim": 3}
        cells = [f"{card.scores[metric].value:.{digits[metric]}f}" for metric in METRICS]
        cells.insert(3, f"{card.context['clip_t_shuffled']:.4f}")
        cells += [f"{share:.3f}" for share in (card.accuracy or {}).values()]
        lines.append(f"| {name.replace('guided ', 'guided, ')} | {' | '.join(cells)} |")
    return lines


def _card(name: str, folder: Path, device: str) -> Scorecard:
    """The scorecard of a baseline, drawn and scored as far as it is not yet."""
    out = folder / name.replace(" ", "-")
    out.parent.mkdir(parents=True, exist_ok=True)
    json = out.with_name(f"{out.name}.scorecard.json")
    model, *options = ROWS[name]
    common = ["--competition", COMPETITION, "--device", device]
    _run([sys.executable, "-m", "baselines", model, "--out", str(out), *common, *options], name)
    scoring = ["--name", name, "--no-leaderboard", "--json", str(json)]
    _run([sys.executable, "-m", "scorer", str(out), *scoring, *common], name)
    card = Scorecard.from_json(json.read_bytes())
    if card.n != len(Competition.load(COMPETITION).prompts):
        raise UsageError(f"{out} holds {card.n} images only")
    return card


def _run(command: list[str], name: str) -> None:
    done = subprocess.run(command, stdout=sys.stderr, check=False)  # noqa: S603 - our own command
    if done.returncode:
        raise MissingPart(f"{name} was not drawn and scored, see above", get_it="the same command goes on from there")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shipped_rows", description=__doc__.split("\n\n")[1])
    add = parser.add_argument
    add("--only", metavar="A,B", help=f"some of the rows (default: all): {', '.join(ROWS)}")
    add("--folder", type=Path, default=Path("submission/out/bestiary"), help="the drawings (default: %(default)s)")
    add("--board", type=Path, default=board.SHIPPED, metavar="FILE", help="the board (default: %(default)s)")
    add("--device", default="auto", help="for drawing and scoring (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(run(main))
