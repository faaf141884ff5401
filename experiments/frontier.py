"""python -m experiments.frontier: FID against passes of the monster's UNet, its own steps and its students'.

The undistilled UNet draws in each of several numbers of steps, two passes each where it is guided; each student
(`baselines.monster.distil`) as it was trained. Everything is kept in one folder: what is drawn and scored there is not
drawn again.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from baselines import options as option
from baselines import registry
from baselines.draw import Request
from baselines.pretrained import Pretrained
from experiments.points import csv_text, measured, write_figure
from submission import Competition, atomic, commands
from submission.errors import UsageError, run
from submission.paths import data_home

METRICS = ("fid", "clip_t", "clip_i", "is")
LABEL_AT = {"teacher": (6, 5), "student": (6, -11)}  # of a point, in typographic points: where both are near, both read


def passes(settings: Mapping[str, object]) -> int:
    """How often the network sees each image, from what a monster's manifest says."""
    steps, scale, sampler = settings["steps"], settings["guidance_scale"], str(settings["sampler"])
    assert isinstance(steps, int)
    return steps if scale == 1 or "distilled" in sampler else 2 * steps


def steps_of(student: str | None) -> int:
    """In which the student in a folder, or the shipped one, draws. Raises UsageError where there is none."""
    steps = Pretrained("monster", student).sampling().get("distilled_steps")
    if steps is None:
        make = commands.module("baselines.monster.distil")
        raise UsageError(f"{student or 'the shipped folder'} holds no student of the monster; {make} makes some")
    return int(steps)


def point(request: Request, study: Path, name: str, curve: str, *, overwrite: bool = False) -> dict[str, object]:
    """A row of the table: a drawing's passes and scores. Raises UsageError where `study` holds another of its name."""
    drawn, scorecard = measured(request, study, name, overwrite=overwrite)
    assert drawn.manifest is not None
    settings, fid = drawn.manifest.settings, scorecard.scores["fid"]
    scores = {metric: scorecard.scores[metric].value for metric in METRICS} | {"fid_low": fid.low, "fid_high": fid.high}
    row = {"curve": curve, "steps": settings["steps"], "passes": passes(settings), "n": scorecard.n}
    return {**row, **scores, **(scorecard.accuracy or {})}


def draw_figure(rows: pd.DataFrame, title: str, path: Path) -> None:
    """FID with its 95 % interval against passes, both logarithmic, a curve for teacher and students: a PNG."""
    from matplotlib.figure import Figure

    page = Figure(figsize=(6.4, 4.4), dpi=110, layout="constrained")
    axes = page.subplots()
    for curve, points in rows.sort_values("passes").groupby("curve", sort=False):
        each = "two passes a step" if (points["passes"] > points["steps"]).any() else "one pass a step"
        line = axes.plot(points["passes"], points["fid"], marker="o", label=f"{curve}, {each}")[0]
        color, away = line.get_color(), LABEL_AT[str(curve)]
        axes.vlines(points["passes"], points["fid_low"], points["fid_high"], color=color, alpha=0.5)
        for steps, x, y in points[["steps", "passes", "fid"]].to_numpy():
            axes.annotate(f"{steps:g}", (x, y), textcoords="offset points", xytext=away, color=color, fontsize=8)
    ticks = sorted(set(rows["passes"]))
    axes.set(xlabel="passes of the UNet an image (at the points: steps)", xscale="log", yscale="log")
    axes.set_ylabel("FID, lower is better (bars: 95 % intervals)")
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    low, high = rows["fid"].min(), rows["fid"].max()
    marks = [mark for mark in (2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100, 200) if 0.7 * low <= mark <= 1.4 * high]
    axes.set_yticks(marks, [str(mark) for mark in marks])
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    axes.set_title(title, fontsize=11)
    write_figure(page, path)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.frontier", description=__doc__.partition("\n\n")[0])
    add = parser.add_argument
    add("--steps", type=int, nargs="*", default=[4, 6, 8, 10, 20], help="the teacher's (4 6 8 10 20)")
    add("--students", nargs="*", default=[], metavar="DIR", help="folders that draw (the shipped one)")
    add("--weights", help="the teacher's (the shipped ones)")
    add("--competition", default=data_home() / "bestiary" / "validation", metavar="C", help="(%(default)s)")
    add("--out", type=Path, default=Path("runs/frontier"), help="the study's folder (%(default)s)")
    option.add_hardware(parser)
    add("--overwrite", action="store_true", help="draw again what other weights or settings drew")
    args = parser.parse_args(argv)
    competition = Competition.load(args.competition)
    drawings = [(f"teacher-{steps}", {"weights": args.weights, "steps": steps}) for steps in args.steps]
    drawings += [(f"student-{steps_of(folder)}", {"weights": folder}) for folder in args.students or [args.weights]]
    args.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, options in drawings:
        recipe = registry.recipe("monster", competition, **options)
        request = Request(recipe, competition, device=args.device, precision=args.precision)
        rows.append(point(request, args.out, name, name.partition("-")[0], overwrite=args.overwrite))
        atomic.write_text(args.out / "frontier.csv", csv_text(rows))
    table = pd.DataFrame(rows)
    draw_figure(table, f"{competition.name}, {len(competition.prompts)} prompts", args.out / "frontier.png")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
    print(f"{args.out / 'frontier.csv'}, {args.out / 'frontier.png'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
