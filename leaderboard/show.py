"""The board as a person reads it in a terminal, at 80 columns, at 120, and piped."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from leaderboard.gate import SIGNS, Verdict, checks_of, summary
from leaderboard.ranking import Group, Ranked
from submission.competition import Competition
from submission.errors import CompetitionError, MissingPart, shown
from submission.judging import Tier, mark
from submission.metrics import METRICS, Metric

# From here on the difference to the gate fits beside each value.
WIDE = 105
NAME_SHOWN = 60
PAIRS_SHOWN = 20
ALIKE = "≈"
# What another fingerprint may come from, in the order of what a reader should hear first.
_OTHERWISE = {
    "prompts_sha256": "other prompts",
    "n": "another number of images",
    "references_sha256": "other references",
    "statistics_sha256": "other statistics of references",
    "inception": "another Inception",
    "clip": "another CLIP",
    "inception_sha256": "other weights of Inception",
    "clip_sha256": "other weights of CLIP",
    "protocol": "another protocol",
}


def print_board(console: Console, groups: Sequence[Group], competitions: Mapping[str, Competition]) -> None:
    """Print each group of the board under a heading that says what measured it."""
    for number_of, group in enumerate(groups):
        if number_of:
            console.print()
        competition = competitions.get(group.competition)
        console.print(_heading(group, competition, _otherwise(group, groups, competition)))
        gate = competition.tier(competition.gate) if competition is not None and competition.gate else None
        console.print(_table(group, competition, gate, console.width))
        for entry in [entry for entry in group.ranked if entry.unranked]:
            console.print(Text(f"  not ranked: {shown(entry.row.name)}: {shown(entry.unranked, 400)}", "yellow"))
        for pair in group.pairs[:PAIRS_SHOWN]:
            images = "the same images" if pair.same else "nearly the same images"
            line = f"  {ALIKE} {pair.earlier} and {pair.later} have {images}; those of {pair.earlier} were scored first"
            console.print(Text(line, "yellow"))
        if len(group.pairs) > PAIRS_SHOWN:
            console.print(Text(f"  {ALIKE} and {len(group.pairs) - PAIRS_SHOWN} more pairs", "yellow"))
        if group.more:
            console.print(Text(f"  and {group.more} more: --top N shows the first N, --top 0 all of them", "yellow"))
        for line in _legend(group, gate, console.width):
            console.print(Text(f"  {line}", "dim"))


def _otherwise(group: Group, groups: Sequence[Group], competition: Competition | None) -> str:
    """What a table differs in from the competition as it is now or, where that does not say it, from its table of the
    shipped baselines, or else from its newest one."""
    tables = [table for table in groups if table.competition == group.competition]
    newest = max(tables, key=lambda table: (table.entries["shipped"].any(), table.entries["created_at"].max()))
    then, now = ({**table.measured_by, "n": table.n} for table in (group, newest))
    if competition is not None:
        now |= {"inception": competition.backbones.inception, "clip": competition.backbones.clip}
        with contextlib.suppress(CompetitionError, MissingPart):
            now |= {"prompts_sha256": competition.prompts_sha256, "n": len(competition.prompts)}
    return ", ".join(what for key, what in _OTHERWISE.items() if str(then.get(key, "")) != str(now.get(key, "")))


def _heading(group: Group, competition: Competition | None, otherwise: str) -> Text:
    by = group.measured_by
    heading = Text.assemble(
        (competition.title if competition is not None and competition.title else group.competition, "bold"),
        f"\n{group.competition}, {group.n} images",
    )
    if families := next((entry.row.families for entry in group.ranked if entry.row.families is not None), None):
        heading.append(f" in {families} {'family' if families == 1 else 'families'}")
    for part in ("inception", "clip"):
        if part in by:
            heading.append(f", {'Inception' if part == 'inception' else 'CLIP'} {by[part]}")
            heading.append(f" ({str(by.get(f'{part}_sha256', ''))[:8]})", "dim")
    heading.append(f", protocol {by.get('protocol', '?')} ")
    heading.append(f"[{group.fingerprint}]", "dim")
    if otherwise:
        heading.append(f"\nNot to be compared with the competition as it is now: {otherwise}", "yellow")
    return heading


def _table(group: Group, competition: Competition | None, gate: Tier | None, width: int) -> Table:
    wide = width >= WIDE
    ranked = group.ranked
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1 if wide else 0, 0, 0))
    columns: list[list[str | Text]] = []

    def add(head: str, cells: Iterable[str | Text], justify: JustifyMethod = "right", **options: Any) -> None:
        table.add_column(head, justify=justify, **options)
        columns.append(list(cells))

    add("#", (entry.rank_range for entry in ranked))
    add("entry", map(_name, ranked), "left", overflow="fold", min_width=8)
    add("tiers", (f"{entry.tiers_passed}/{entry.tiers}" for entry in ranked), no_wrap=True)
    limits = []
    for metric in METRICS.values():
        values = [entry.row.numbers[metric.name] for entry in ranked]
        if any(value is not None for value in values):
            limit = gate.thresholds.get(metric.name) if gate is not None else None
            cells = (_value(metric, value, limit, wide) for value in values)
            add(f"{metric.label}{metric.arrow}", cells, no_wrap=True)
            limits.append(metric.limit(limit) if wide and limit is not None else metric.text(limit, ""))
    if gate is not None:
        add("gate", (Text(*SIGNS[_verdict(entry, gate)]) for entry in ranked), "center", no_wrap=True)
    marks = [_mark(entry, competition) for entry in ranked]
    if any(value is not None for value in marks):
        add("mark", ("–" if value is None else f"{value:g} %" for value in marks), no_wrap=True)
    if width >= WIDE + 15:
        add("date", (Text(f"{entry.row.created_at:%Y-%m-%d}", "dim") for entry in ranked), "left", no_wrap=True)
    for entry, line in zip(ranked, zip(*columns, strict=True), strict=True):
        table.add_row(*line, style=None if entry.place else "dim")
    if gate is not None:
        table.add_row("", Text(f"gate: {gate.name}"), "", *limits, style="cyan")
    return table


def _name(entry: Ranked) -> Text:
    name = entry.row.name
    text = Text(name if len(name) <= NAME_SHOWN else name[: NAME_SHOWN - 1] + "…")
    if entry.shipped:
        text.append("*", "cyan")
    if entry.reproduced:
        text.append("=", "green")
    if entry.resembles:
        text.append(ALIKE, "yellow")
    return text


def _value(metric: Metric, value: float | None, limit: float | None, wide: bool) -> Text:
    cell = Text(metric.text(value))
    if value is not None and limit is not None and math.isfinite(value):
        colour = "green" if metric.passes(value, limit) else "red"
        if wide:
            cell.append(f" {value - limit:+.{metric.digits}f}", colour)
        elif colour == "red":
            cell.stylize(colour)
    return cell


def _mark(entry: Ranked, competition: Competition | None) -> float | None:
    """By the competition as it is now, where it is at hand. Who is not ranked earns none."""
    if competition is None:
        return entry.row.mark
    earned = mark(entry.row.scores, competition.tiers, competition.marks)
    return None if earned is None else earned.value * (not entry.unranked)


def _verdict(entry: Ranked, gate: Tier) -> Verdict:
    if entry.unranked:
        return Verdict.FAILS
    return summary(checks_of(gate, entry.row.scores))[0]


def _legend(group: Group, gate: Tier | None, width: int) -> list[str]:
    legend = []
    if ranged := [entry for entry in group.ranked if entry.first_place != entry.last_place]:
        places = f"from {ranged[0].first_place} to {ranged[0].last_place}"
        legend.append(f"{ranged[0].rank_range}: its place is somewhere {places}; the 95 % intervals of FID overlap")
    if gate is not None and width >= WIDE and (example := _example(group, gate)):
        legend.append(f"{example}: the score, and how far it is from the gate's threshold (green: reached)")
    if any(_verdict(entry, gate) is Verdict.UNKNOWN for entry in group.ranked if gate is not None):
        legend.append(f"? cannot tell at N = {group.n}: an interval holds the threshold")
    old = [entry.row for entry in group.ranked if entry.row.families is None and entry.row.score("fid").low is not None]
    if old:
        legend.append(f"{len(old)} scored by an earlier version, whose intervals are too narrow")
    if any(entry.shipped for entry in group.ranked):
        legend.append("* shipped baseline")
    if any(entry.reproduced for entry in group.ranked):
        legend.append("= the same bytes were scored here")
    if any(entry.resembles for entry in group.ranked):
        legend.append(f"{ALIKE} another name's images, or nearly so: the host decides what that means")
    if group.hidden:
        legend.append(f"{group.hidden} more with --all")
    lines: list[str] = []
    for part in legend:  # as many on a line as fit
        if lines and len(lines[-1]) + len(part) + 5 <= width:
            lines[-1] += f" · {part}"
        else:
            lines.append(part)
    return lines


def _example(group: Group, gate: Tier) -> str:
    """A cell of the table as it is printed where the difference to the gate fits beside the value."""
    for entry in group.ranked:
        for metric, threshold in gate.thresholds.items():
            if (value := entry.row.score(metric).value) is not None:
                return f"{METRICS[metric].text(value)} {value - threshold:+.{METRICS[metric].digits}f}"
    return ""
