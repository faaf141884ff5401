"""The ablations as a table: scores and intervals of each arm, and what may be said of it against the plain recipe."""

from __future__ import annotations

import pandas as pd

METRICS = {"fid": "FID", "clip_t": "CLIP-T"}  # what an arm is called better or worse by
ATTRIBUTES = ("body", "colours", "features", "item", "action")
HIGHER_IS_BETTER = {"fid": False, "clip_t": True}
BASE = "plain"


def spread(rows: pd.DataFrame, metric: str) -> float:
    """How far apart chance puts the scores of the plain recipe: their range over its seeds."""
    values = rows.loc[rows["arm"] == BASE, metric]
    return float(values.max() - values.min())


def undecided(rows: pd.DataFrame) -> list[str]:
    """The arms that one seed says too little of: nearer to the plain mean than twice its spread, in any metric."""
    found = []
    for arm, own in rows[rows["arm"] != BASE].groupby("arm", sort=False):
        near = [abs(own[m].mean() - _mean(rows, m)) < 2 * spread(rows, m) for m in METRICS]
        if any(near):
            found.append(str(arm))
    return found


def verdict(rows: pd.DataFrame, arm: str, metric: str) -> str:
    """'better', 'worse', '=' (cannot tell), or '' for the plain recipe itself and for a metric without scores.

    One seed has to be twice the spread away; of several, all have to lie on one side of every plain one.
    """
    own, plain = (rows.loc[rows["arm"] == name, metric].dropna() for name in (arm, BASE))
    if arm == BASE or own.empty or plain.empty:
        return ""
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    if abs(own.mean() - plain.mean()) < 2 * spread(rows, metric) and len(own) < 2:
        return "="
    if (sign * own).min() > (sign * plain).max():
        return "better"
    return "worse" if (sign * own).max() < (sign * plain).min() else "="


def csv_text(rows: pd.DataFrame) -> str:
    """A line for each arm and seed."""
    return str(rows.to_csv(index=False, lineterminator="\n", float_format="%.5g"))


def markdown(rows: pd.DataFrame) -> str:
    """A line for each arm: means over its seeds, with the means of the intervals' ends."""
    heads = ["arm", "what", "seeds", *METRICS.values(), *ATTRIBUTES, "FID, CLIP-T"]
    lines = [" | ".join(heads), " | ".join(["---"] * len(heads))]
    for arm, own in rows.groupby("arm", sort=False):
        cells = [str(arm), str(own["what"].iloc[0]), str(len(own))]
        cells += [_cell(own, name, 2 if name == "fid" else 3) for name in (*METRICS, *ATTRIBUTES)]
        verdicts = [verdict(rows, str(arm), metric) for metric in METRICS]
        lines.append(" | ".join([*cells, ", ".join(filter(None, verdicts))]))
    chance = ", ".join(f"{label} {spread(rows, metric):.4g}" for metric, label in METRICS.items())
    count = int((rows["arm"] == BASE).sum())
    note = (
        f"Each arm was trained on {rows['images'].iloc[0]:,} images and drew {rows['prompts'].iloc[0]} validation"
        f" prompts; in brackets 95 % intervals over prompts. Between {count} seeds the plain recipe's scores range over"
        f" {chance}."
        " Better or worse: by more than twice that on one seed, or on every seed of three than every plain one;"
        " =: cannot tell."
    )
    return "".join(f"| {line} |\n" for line in lines) + f"\n{note}\n"


def _mean(rows: pd.DataFrame, metric: str) -> float:
    return float(rows.loc[rows["arm"] == BASE, metric].mean())


def _cell(own: pd.DataFrame, name: str, digits: int) -> str:
    if own[name].isna().all():
        return "–"
    value = f"{own[name].mean():.{digits}f}"
    low, high = own[f"{name}_low"], own[f"{name}_high"]
    return value if low.isna().any() else f"{value} ({low.mean():.{digits}f} … {high.mean():.{digits}f})"
