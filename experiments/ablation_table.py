"""The ablations as a table: scores and intervals of each arm, and what may be said of it against the plain recipe."""

from __future__ import annotations

import pandas as pd

from scorer.attributes import ATTRIBUTES
from submission import metrics

METRICS = {name: metrics.METRICS[name] for name in ("fid", "clip_t")}  # what an arm is called better or worse by
BASE = "plain"


def spread(rows: pd.DataFrame, metric: str) -> float:
    """How far apart chance puts the scores of the plain recipe: their range over its seeds."""
    values = rows.loc[rows["arm"] == BASE, metric]
    return float(values.max() - values.min())


def undecided(rows: pd.DataFrame) -> list[str]:
    """The arms that one seed says too little of: nearer to the plain mean than twice its spread, in any metric."""
    arms = rows.loc[rows["arm"] != BASE, "arm"].unique()
    return [arm for arm in arms if any(_is_near(rows, arm, metric) for metric in METRICS)]


def verdict(rows: pd.DataFrame, arm: str, metric: str) -> str:
    """'better', 'worse', '=' (cannot tell), or '' for the plain recipe itself and for a metric without scores.

    One seed has to be twice the spread away; of several, all have to lie on one side of every plain one.
    """
    own, plain = (rows.loc[rows["arm"] == name, metric].dropna() for name in (arm, BASE))
    if arm == BASE or own.empty or plain.empty:
        return ""
    sign = 1 if METRICS[metric].higher_is_better else -1
    if len(own) < 2 and _is_near(rows, arm, metric):
        return "="
    if (sign * own).min() > (sign * plain).max():
        return "better"
    return "worse" if (sign * own).max() < (sign * plain).min() else "="


def markdown(rows: pd.DataFrame) -> str:
    """A line for each arm: means over its seeds, with the means of the intervals' ends."""
    labels = [metric.label for metric in METRICS.values()]
    heads = ["arm", "what", "seeds", *labels, *ATTRIBUTES, "FID, CLIP-T"]
    lines = [" | ".join(heads), " | ".join(["---"] * len(heads))]
    for arm, own in rows.groupby("arm", sort=False):
        cells = [str(arm), str(own["what"].iloc[0]), str(len(own))]
        cells += [_cell(own, name, 2 if name == "fid" else 3) for name in (*METRICS, *ATTRIBUTES)]
        verdicts = [verdict(rows, str(arm), metric) for metric in METRICS]
        lines.append(" | ".join([*cells, ", ".join(filter(None, verdicts))]))
    chance = ", ".join(f"{metric.label} {spread(rows, name):.4g}" for name, metric in METRICS.items())
    count = int((rows["arm"] == BASE).sum())
    note = (
        f"Each arm was trained on {rows['images'].iloc[0]:,} images and drew {rows['prompts'].iloc[0]} validation"
        f" prompts; in brackets 95 % intervals over prompts. Between {count} seeds the plain recipe's scores range over"
        f" {chance}."
        " Better or worse: by more than twice that on one seed, or on every seed of three than every plain one;"
        " =: cannot tell."
    )
    return "".join(f"| {line} |\n" for line in lines) + f"\n{note}\n"


def _is_near(rows: pd.DataFrame, arm: str, metric: str) -> bool:
    own, plain = (rows.loc[rows["arm"] == name, metric].mean() for name in (arm, BASE))
    return bool(abs(own - plain) < 2 * spread(rows, metric))


def _cell(own: pd.DataFrame, name: str, digits: int) -> str:
    if own[name].isna().all():
        return "–"
    value = f"{own[name].mean():.{digits}f}"
    low, high = own[f"{name}_low"], own[f"{name}_high"]
    return value if low.isna().any() else f"{value} ({low.mean():.{digits}f} … {high.mean():.{digits}f})"
