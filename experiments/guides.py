"""python -m experiments.guides: which of clip-guided's guides draws what was asked for? A table of scores.

Each guide's images are drawn and scored once. The accuracy is read by the scorer's classifier, which no guide has seen.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from baselines import options as option
from baselines import registry
from baselines.draw import Request
from experiments.points import measured
from submission import Competition, atomic
from submission.errors import run

GUIDES = ("none", *option.GUIDES)
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


def _row(args: argparse.Namespace, study: Path, guide: str, scale: float | None) -> dict[str, object]:
    form = None if guide == "none" else args.guidance_form
    competition = Competition.load(args.competition)
    options = {"guide": guide, "guidance_form": form, "guidance_scale": scale, "weights": args.weights}
    recipe = registry.recipe("clip-guided", competition, **options)
    request = Request(recipe, competition, limit=args.limit, device=args.device, precision=args.precision)
    parts = [guide, form, None if scale is None else f"{scale:g}", args.limit and f"first-{args.limit}"]
    drawn, scorecard = measured(request, study, "-".join(str(part) for part in parts if part))
    scores = {name: scorecard.scores[name].value if name in scorecard.scores else None for name in SCORES}
    settings = drawn.manifest.settings if drawn.manifest else {}
    accuracy = scorecard.accuracy or {}
    return {"guide": guide, "scale": settings.get("guidance_scale"), "n": scorecard.n, **scores, **accuracy}


def table(rows: Sequence[dict[str, object]]) -> str:
    """The rows as Markdown; a column for each key that any row has."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(_cell(row.get(column)) for column in columns)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    raise SystemExit(run(main))
