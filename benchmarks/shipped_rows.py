"""python -m benchmarks.shipped_rows: draw the shipped baselines again, score them, and write leaderboard/baselines.csv.

Whatever changes a number of every row (another way of making intervals, other weights, another chip) is answered by
this one command. Drawing goes on where it was interrupted, and what is drawn already is only scored. The board is
replaced at the end, as a whole, and so are the board in README.md and the rows of the table in docs/numbers.md; rows of
models that were not asked for stay as they are. `nearest` and `mean-image` need the training images (`make data`).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from leaderboard import board
from leaderboard.columns import COLUMNS
from leaderboard.row import Row, from_scorecard, to_cells
from submission import Competition, Scorecard, atomic
from submission.csv_text import csv_line
from submission.errors import MissingPart, UsageError, run
from submission.metrics import METRICS

ROOT = Path(__file__).resolve().parent.parent
README, NUMBERS = ROOT / "README.md", ROOT / "docs" / "numbers.md"
COMPETITION = "bestiary"
# What is no model: shown below them.
ANCHORS = ("monster, names shuffled", "nearest", "mean-image", "noise")
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
    "monster 20 steps": ("monster", "--steps", "20"),
}


def main(argv: Sequence[str] | None = None) -> int:
    description = (__doc__ or "").split("\n\n")[1]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shipped_rows", description=description)
    add = parser.add_argument
    add("--only", metavar="A,B", help=f"some of the rows (default: all): {', '.join(ROWS)}")
    add("--folder", type=Path, default=Path("submission/out/bestiary"), help="the drawings (default: %(default)s)")
    add("--board", type=Path, default=board.SHIPPED, metavar="FILE", help="the board (default: %(default)s)")
    add("--device", default="auto", help="for drawing and scoring (default: %(default)s)")
    arguments = parser.parse_args(argv)
    names = arguments.only.split(",") if arguments.only else list(ROWS)
    if unknown := [name for name in names if name not in ROWS]:
        raise UsageError(f"--only {', '.join(unknown)}: the rows are {', '.join(ROWS)}")
    cards = {name: _card(name, arguments.folder, arguments.device) for name in names}
    old = board.read(arguments.board)
    rows = replaced(old, cards)
    atomic.write_bytes(arguments.board, b"".join(csv_line(cells) for cells in (COLUMNS, *map(to_cells, rows))))
    if arguments.board == board.SHIPPED:
        atomic.write_text(README, with_board(README.read_text(encoding="utf-8"), shipped_board()))
        atomic.write_text(NUMBERS, with_rows(NUMBERS.read_text(encoding="utf-8"), cards))
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


def shipped_board() -> str:
    """What `leaderboard show` prints of the shipped rows alone, at 80 columns."""
    command = [sys.executable, "-m", "leaderboard", "show", "--competition", COMPETITION, "--leaderboard", os.devnull]
    environment = {**os.environ, "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)  # noqa: S603 - our own command
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.decode().splitlines())


def with_board(page: str, shown: str) -> str:
    """README's text with `shown` in the place of its board."""
    return re.sub(r"(?<=^```text\n).*?(?=^```$)", lambda _: shown, page, flags=re.MULTILINE | re.DOTALL)


def with_rows(page: str, cards: Mapping[str, Scorecard]) -> str:
    """The text of docs/numbers.md with the cards' rows in its table of baselines, the ranked models' best FID first."""
    lines = page.splitlines()
    first = 1 + lines.index(next(line for line in lines if line.startswith("| the references themselves |")))
    end = next(index for index in range(first, len(lines)) if not lines[index].startswith("|"))
    rows = {line.split("|")[1].strip(): line for line in lines[first:end]}
    rows |= {title(name): table_row(name, card) for name, card in cards.items()}
    fid = {name: float(line.split("|")[2]) for name, line in rows.items()}
    ordered = sorted(rows, key=lambda name: (name in ANCHORS, fid[name]))
    return "\n".join([*lines[:first], *(rows[name] for name in ordered), *lines[end:]]) + "\n"


def title(name: str) -> str:
    """A row's name as the table writes it."""
    return name.replace("guided ", "guided, ")


def table_row(name: str, card: Scorecard) -> str:
    """The line in docs/numbers.md: the metrics, CLIP-T of shuffled prompts, and the attributes' accuracy."""
    digits = {**{metric: METRICS[metric].digits for metric in METRICS}, "ssim": 3}
    cells = [f"{card.scores[metric].value:.{digits[metric]}f}" for metric in METRICS]
    cells.insert(3, f"{card.context['clip_t_shuffled']:.4f}")
    cells += [f"{fraction:.3f}" for fraction in (card.accuracy or {}).values()]
    return f"| {title(name)} | {' | '.join(cells)} |"


def _card(name: str, folder: Path, device: str) -> Scorecard:
    """The scorecard of a baseline, drawn and scored as far as it is not yet."""
    out = folder / name.replace(" ", "-")
    out.parent.mkdir(parents=True, exist_ok=True)
    json = out.with_name(f"{out.name}.scorecard.json")
    model, *options = ROWS[name]
    common = ["--competition", COMPETITION, "--device", device]
    _run(name, "baselines", model, "--out", str(out), *common, *options)
    _run(name, "scorer", str(out), "--name", name, "--no-leaderboard", "--json", str(json), *common)
    card = Scorecard.from_json(json.read_bytes())
    if card.n != len(Competition.load(COMPETITION).prompts):
        raise UsageError(f"{out} holds {card.n} images only")
    return card


def _run(name: str, *words: str) -> None:
    done = subprocess.run([sys.executable, "-m", *words], stdout=sys.stderr, check=False)  # noqa: S603 - our own command
    if done.returncode:
        raise MissingPart(f"{name} was not drawn and scored, see above", get_it="the same command goes on from there")


if __name__ == "__main__":
    raise SystemExit(run(main))
