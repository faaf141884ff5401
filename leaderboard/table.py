"""The board as a person reads it in a terminal, at 80 columns, at 120, and piped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from leaderboard.gate import Verdict, judged, summary
from leaderboard.ranking import Group, Ranked
from leaderboard.row import Row
from submission.competition import Competition, Tier
from submission.scorecard import METRICS, Metric

# From here on the difference to the gate fits beside each value.
WIDE = 105
NAME_SHOWN = 60
_MARKS = {Verdict.BEATS: ("✓", "green"), Verdict.FAILS: ("✗", "red"), Verdict.UNKNOWN: ("?", "yellow")}


def show(console: Console, groups: Sequence[Group], competitions: Mapping[str, Competition]) -> None:
    """Print each group of the board under a heading that says what measured it."""
    for number_of, group in enumerate(groups):
        if number_of:
            console.print()
        console.print(
            _heading(group, competitions.get(group.competition)),
        )
        gate = _gate(competitions.get(group.competition))
        console.print(_table(group, gate, console.width))
        if unranked := [entry for entry in group.ranked if entry.unranked]:
            for entry in unranked:
                console.print(Text(f"  not ranked: {entry.row.name}: {entry.unranked}", "yellow"))
        if legend := _legend(group, gate):
            console.print(Text(f"  {legend}", "dim"))


def number(value: float | None, metric: Metric) -> str:
    """A metric's value with its digits, or a dash."""
    return "–" if value is None else f"{value:.{metric.digits}f}"


def _gate(competition: Competition | None) -> Tier | None:
    return competition.tier(competition.gate) if competition is not None and competition.gate else None


def _heading(group: Group, competition: Competition | None) -> Text:
    by = group.measured_by
    heading = Text.assemble(
        (competition.title if competition is not None and competition.title else group.competition, "bold"),
        f"\n{group.competition}, {group.n} images",
    )
    for part in ("inception", "clip"):
        if part in by:
            heading.append(f", {'Inception' if part == 'inception' else 'CLIP'} {by[part]}")
            heading.append(f" ({str(by.get(f'{part}_sha256', ''))[:8]})", "dim")
    heading.append(f", protocol {by.get('protocol', '?')} ")
    heading.append(f"[{group.fingerprint}]", "dim")
    return heading


def _table(group: Group, gate: Tier | None, width: int) -> Table:
    wide, dated = width >= WIDE, width >= WIDE + 15
    shown = [
        metric for metric in METRICS.values() if any(_value(entry.row, metric) is not None for entry in group.ranked)
    ]
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1 if wide else 0, 0, 0))
    table.add_column("#", justify="right")
    table.add_column("entry", overflow="fold", min_width=8)
    table.add_column("tiers", justify="right", no_wrap=True)
    for metric in shown:
        table.add_column(f"{metric.label}{metric.arrow}", justify="right", no_wrap=True)
    if gate is not None:
        table.add_column("gate", justify="center", no_wrap=True)
    if dated:
        table.add_column("date", no_wrap=True)
    for entry in group.ranked:
        date = [Text(f"{entry.row.created_at:%Y-%m-%d}", "dim")] if dated else []
        table.add_row(*_cells(entry, shown, gate, wide), *date, style=None if entry.place else "dim")
    if gate is not None:
        limits = [_limit(gate.thresholds.get(metric.name), metric, wide) for metric in shown]
        table.add_row("", Text(f"gate: {gate.name}"), "", *limits, style="cyan")
    return table


def _limit(threshold: float | None, metric: Metric, wide: bool) -> str:
    if threshold is None:
        return ""
    return ("≥ " if metric.higher_is_better else "≤ ") * wide + number(threshold, metric)


def _cells(entry: Ranked, shown: Sequence[Metric], gate: Tier | None, wide: bool) -> list[str | Text]:
    row = entry.row
    name = Text(row.name if len(row.name) <= NAME_SHOWN else row.name[: NAME_SHOWN - 1] + "…")
    if entry.shipped:
        name.append("*", "cyan")
    if entry.reproduced:
        name.append("=", "green")
    cells: list[str | Text] = [entry.rank_range, name, f"{entry.tiers_passed}/{entry.tiers}"]
    thresholds = gate.thresholds if gate is not None else {}
    for metric in shown:
        value, threshold = _value(row, metric), thresholds.get(metric.name)
        cell = Text(number(value, metric))
        if value is not None and threshold is not None and math.isfinite(value):
            colour = "green" if metric.passes(value, threshold) else "red"
            if wide:
                cell.append(f" {value - threshold:+.{metric.digits}f}", colour)
            elif colour == "red":
                cell.stylize(colour)
        cells.append(cell)
    if gate is not None:
        cells.append(Text(*_MARKS[_verdict(entry, gate)]))
    return cells


def _verdict(entry: Ranked, gate: Tier) -> Verdict:
    if entry.unranked:
        return Verdict.FAILS
    return summary(judged(gate, {metric: entry.row.score(metric) for metric in METRICS}))[0]


def _value(row: Row, metric: Metric) -> float | None:
    return row.numbers[metric.name]


def _legend(group: Group, gate: Tier | None) -> str:
    legend = []
    if any("–" in entry.rank_range for entry in group.ranked if entry.place):
        legend.append("1–2: the 95 % intervals overlap")
    if gate is not None and any(_verdict(entry, gate) is Verdict.UNKNOWN for entry in group.ranked):
        legend.append(f"? cannot tell at N = {group.n}")
    if any(entry.shipped for entry in group.ranked):
        legend.append("* shipped baseline")
    if any(entry.reproduced for entry in group.ranked):
        legend.append("= the same bytes were scored here")
    if group.hidden:
        legend.append(f"{group.hidden} more with --all")
    return " · ".join(legend)
