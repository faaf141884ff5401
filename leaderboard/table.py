"""The board as a person reads it in a terminal, at 80 columns, at 120, and piped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from leaderboard.ranking import Group, Ranked
from leaderboard.row import Row
from submission.competition import Competition, Tier
from submission.scorecard import METRICS, Metric

# From here on the difference to the gate fits beside each value.
WIDE = 112


def show(console: Console, groups: Sequence[Group], competitions: Mapping[str, Competition]) -> None:
    """Print each group of the board under a heading that says what measured it."""
    for group in groups:
        console.print(_heading(group, competitions.get(group.competition)), soft_wrap=False)
        console.print(_table(group, _gate(competitions.get(group.competition)), console.width >= WIDE))
        if unranked := [entry for entry in group.ranked if entry.unranked]:
            for entry in unranked:
                console.print(Text(f"  not ranked: {entry.row.name}: {entry.unranked}", "yellow"))
        console.print(_legend(group))


def number(value: float | None, metric: Metric) -> str:
    """A metric's value with its digits, or a dash."""
    return "–" if value is None else f"{value:.{metric.digits}f}"


def difference(value: float | None, threshold: float | None, metric: Metric) -> str:
    """How far `value` is from `threshold`, signed, with the metric's digits; "" where one of them is missing."""
    return "" if value is None or threshold is None else f"{value - threshold:+.{metric.digits}f}"


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


def _table(group: Group, gate: Tier | None, wide: bool) -> Table:
    shown = [
        metric for metric in METRICS.values() if any(_value(entry.row, metric) is not None for entry in group.ranked)
    ]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1 if wide else 0, 0, 1))
    table.add_column("#", justify="right")
    table.add_column("entry", overflow="fold", min_width=8, ratio=None)
    table.add_column("tiers", justify="right", no_wrap=True)
    for metric in shown:
        table.add_column(f"{metric.label} {metric.arrow}", justify="right", no_wrap=True)
    if gate is not None:
        table.add_column("gate", no_wrap=True)
    if wide:
        table.add_column("date", no_wrap=True)
    for entry in group.ranked:
        table.add_row(*_cells(entry, shown, gate, wide), style=None if entry.place else "dim")
    if gate is not None:
        limits = [number(gate.thresholds.get(metric.name), metric) for metric in shown]
        limits = ["" if limit == "–" else limit for limit in limits]
        table.add_section()
        table.add_row("", Text(f"gate: {gate.name}"), "", *limits, *([""] if wide else []), style="cyan")
    return table


def _cells(entry: Ranked, shown: Sequence[Metric], gate: Tier | None, wide: bool) -> list[str | Text]:
    row = entry.row
    name = Text(row.name)
    if entry.shipped:
        name.append("*", "cyan")
    if entry.reproduced:
        name.append("=", "green")
    cells: list[str | Text] = [str(entry.place or "–"), name, f"{entry.tiers_passed}/{entry.tiers}"]
    for metric in shown:
        value = _value(row, metric)
        threshold = gate.thresholds.get(metric.name) if gate is not None else None
        cell = Text(number(value, metric))
        if value is not None and threshold is not None:
            good = metric.passes(value, threshold)
            cell.stylize("" if good else "red")
            if wide:
                cell.append(f" {difference(value, threshold, metric)}", "green" if good else "red")
        cells.append(cell)
    if gate is not None:
        cells.append(_verdict(row, gate))
    if wide:
        cells.append(Text(f"{row.created_at:%Y-%m-%d}", "dim"))
    return cells


def _verdict(row: Row, gate: Tier) -> Text:
    missed = [
        METRICS[name].label
        for name, threshold in gate.thresholds.items()
        if (value := _value(row, METRICS[name])) is None or not METRICS[name].passes(value, threshold)
    ]
    if not missed:
        return Text("✓", "green")
    return Text(f"✗ {missed[0] if len(missed) == 1 else len(missed)}", "red")


def _value(row: Row, metric: Metric) -> float | None:
    return row.numbers[metric.name]


def _legend(group: Group) -> Text:
    legend = []
    if any(entry.shipped for entry in group.ranked):
        legend.append("* shipped baseline")
    if any(entry.reproduced for entry in group.ranked):
        legend.append("= the same bytes were scored here")
    if group.hidden:
        legend.append(f"{group.hidden} more with --all")
    return Text("  " + " · ".join(legend) if legend else "", "dim")
