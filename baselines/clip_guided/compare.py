"""python -m baselines.clip_guided.compare: which guide draws what was asked? One table, judged by the scorer.

Draws each guide's submission and scores it with the two commands that anyone would type; a part that is there is not
done again. No guide judges itself: the accuracy is read by the scorer's classifier, which no guide has seen.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from baselines import options as option
from submission import Competition, atomic
from submission.errors import run

GUIDES = ("none", "pretrained", "finetuned", "noised")
SCORES = ("fid", "clip_i", "clip_t")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--competition", default="bestiary", metavar="C", help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=Path("runs/clip-guided/compare"), help="default: %(default)s")
    parser.add_argument("--guides", nargs="+", choices=GUIDES, default=list(GUIDES), help="default: all")
    parser.add_argument("--guidance-scale", type=float, nargs="+", help="each of these (default: each guide's own)")
    parser.add_argument("--guidance-form", choices=("normalised", "raw"), help="default: the weights' own")
    parser.add_argument("--weights", help="folder of the diffusion and the guides (default: the shipped ones)")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N prompts (default: all)")
    option.add_hardware(parser)
    args = parser.parse_args(argv)
    # Settled before minutes of work: the competition's own name also keeps the folders of two of them apart.
    out = args.out / Competition.load(args.competition).name
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for guide in args.guides:
        for scale in [None] if guide == "none" else args.guidance_scale or [None]:
            rows.append(_row(args, out, guide, scale))
    markdown = table(rows)
    atomic.write_text(out / "table.md", markdown)
    print(markdown, end="")
    return 0


def _row(args: argparse.Namespace, out: Path, guide: str, scale: float | None) -> dict[str, object]:
    form = None if guide == "none" else args.guidance_form
    parts = [guide, form, None if scale is None else f"{scale:g}", args.limit and f"first-{args.limit}"]
    drawn = out / "-".join(str(part) for part in parts if part)
    scorecard = drawn.with_name(f"{drawn.name}.scorecard.json")
    options = {"--competition": args.competition, "--device": args.device, "--limit": args.limit}
    drawing = {"--guide": guide, "--guidance-form": form, "--guidance-scale": scale, "--weights": args.weights}
    drawing["--precision"] = args.precision
    _command("baselines", "clip-guided", **options, **drawing, **{"--out": drawn})
    _command("scorer", str(drawn), "--no-leaderboard", **options, **{"--json": scorecard})
    card = json.loads(scorecard.read_text(encoding="utf-8"))
    settings = json.loads((drawn / "submission.json").read_text(encoding="utf-8"))["settings"]
    return {
        "guide": guide,
        "scale": settings.get("guidance_scale"),
        "n": card["n"],
        **{name: (card["scores"].get(name) or {}).get("value") for name in SCORES},
        **(card.get("accuracy") or {}),
    }


def _command(module: str, *arguments: str, **options: object) -> None:
    """Runs `python -m module`; what it says goes to stderr. Raises SystemExit with its exit code when it fails."""
    given = [text for name, value in options.items() if value is not None for text in (name, str(value))]
    command = [sys.executable, "-m", module, *arguments, *given]
    code = subprocess.run(command, stdout=sys.stderr).returncode  # noqa: S603 - ours, and what the user gave
    if code:
        raise SystemExit(code)


def table(rows: Sequence[dict[str, object]]) -> str:
    """The rows as Markdown; a column for each key that any row has."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(_cell(row.get(column)) for column in columns)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(run(main))
