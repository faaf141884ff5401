"""python -m experiments.sweep MODEL: draw and score the validation prompts at each of several guidance scales.

The figure of GLIDE (arXiv 2112.10741, figure 6) on our data: precision against recall, Inception score against FID, and
agreement with the prompt against FID as guidance grows, for a model and its variant that a CLIP guides, where there is
one. For GLIDE it also notes the similarity by the noised CLIP that guides: a gradient can raise it without showing more
of the prompt, and the scorer's CLIP then finds nothing of it (adversarial examples, section 5).

Everything is kept in one folder: a sweep that was interrupted goes on where it was, one with more scales draws those
only.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from baselines import options as option
from baselines import registry
from baselines.draw import Request
from experiments.points import csv_text, measured, write_figure
from submission import Competition, Submission, atomic, commands
from submission.errors import run
from submission.paths import data_home

METRICS = ("fid", "clip_t", "clip_i", "is")
EXTRA = ("precision", "recall")  # of nearest neighbours' manifolds (Kynkäänniemi et al., arXiv 1904.06991)
PANELS = (
    (("clip_t", "CLIP-T →"), ("fid", "← FID")),
    (("fid", "← FID"), ("is", "IS →")),
    (("recall", "recall →"), ("precision", "precision →")),
)


def point(request: Request, study: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Draw and score one point of a curve, as far as that is not done: a row of the table.

    Raises UsageError when `study` holds another drawing of its name.
    """
    model, scale = request.recipe.model, request.recipe.options["guidance_scale"]
    drawn, scorecard = measured(request, study, f"{model}-{scale:g}", overwrite=overwrite, extra=True)
    found = scorecard.scores | (scorecard.extra or {})
    scores = {metric: found[metric].value for metric in (*METRICS, *EXTRA)}
    own_clip = _own_clip(request, drawn)
    return {"model": model, "guidance_scale": scale, **scores, "own_clip": own_clip, "n": scorecard.n}


def _own_clip(request: Request, drawn: Submission) -> float | None:
    if not request.recipe.model.startswith("glide"):
        return None
    from baselines.glide.pipeline import own_clip  # takes seconds to import
    from baselines.glide.weights import Folder

    prompts = request.competition.prompts
    images = [drawn.read(prompt.image_name)[1] for prompt in prompts]
    return own_clip(Folder.open(request.recipe.options.get("weights")), images, [prompt.text for prompt in prompts])


def draw_figure(rows: pd.DataFrame, title: str, path: Path) -> None:
    """A panel for each of `PANELS`, a curve for each model, each point with its scale: a PNG."""
    from matplotlib.figure import Figure

    page = Figure(figsize=(14, 4.2), dpi=150, layout="constrained")
    for axes, ((x, x_label), (y, y_label)) in zip(page.subplots(1, len(PANELS)), PANELS, strict=True):
        for model, points in rows.groupby("model", sort=False):
            curve = points.dropna(subset=[x, y])
            axes.plot(curve[x], curve[y], marker="o", label=model)
            for scale, *at in curve[["guidance_scale", x, y]].to_numpy():
                axes.annotate(f"{scale:g}", at, textcoords="offset points", xytext=(5, 5), fontsize=8)
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    page.axes[0].legend(frameon=False)
    page.suptitle(title, fontsize=11)
    write_figure(page, path)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.sweep", description=__doc__.partition("\n\n")[0])
    add = parser.add_argument
    add("model", help=f"a model with --guidance-scale ({commands.module('baselines --list')})")
    add("--guidance", type=float, nargs="+", default=[1, 1.5, 2, 3, 4, 6], metavar="SCALE", help="(1 1.5 2 3 4 6)")
    add("--competition", default=data_home() / "bestiary" / "validation", metavar="C", help="(%(default)s)")
    add("--out", type=Path, help="the sweep's folder (runs/sweep/MODEL)")
    add("--weights", help="those to draw with (the shipped ones)")
    add("--steps", type=int, help="sampling steps (the model's own)")
    option.add_hardware(parser)
    add("--overwrite", action="store_true", help="draw again what other weights or settings drew")
    arguments = parser.parse_args(argv)
    names = registry.guided(arguments.model)
    competition = Competition.load(arguments.competition)
    out = arguments.out or Path("runs/sweep") / arguments.model
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, scale in product(names, sorted(set(arguments.guidance))):
        options = {"guidance_scale": scale, "weights": arguments.weights, "steps": arguments.steps}
        recipe = registry.recipe(name, competition, **options)
        request = Request(recipe, competition, device=arguments.device, precision=arguments.precision)
        rows.append(point(request, out, overwrite=arguments.overwrite))
        atomic.write_text(out / "sweep.csv", csv_text(rows))
    title = f"guidance scales, {len(competition.prompts)} prompts"
    draw_figure(pd.DataFrame(rows), title, out / "sweep.png")
    print(csv_text(rows), end="")
    print(f"{out / 'sweep.csv'}, {out / 'sweep.png'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
