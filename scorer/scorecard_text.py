"""The scorecard as a person reads it in a terminal, at 80 columns and when piped."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from submission.errors import shown
from submission.metrics import EXTRA_METRICS, METRICS, Metric
from submission.scorecard import Mark, Score, Scorecard, Suspicions, TierResult

_NETWORKS = (("Inception", "inception"), ("CLIP", "clip"))


def print_scorecard(console: Console, card: Scorecard) -> None:
    """Print scores, verdicts per tier, the mark, attribute accuracy, what is suspect, and notes."""
    heading = Text.assemble((shown(card.name, 200), "bold"), f" in {shown(card.competition)}: {card.n} images")
    if card.families is not None:
        heading.append(f", {card.families} families of prompts" if card.families != 1 else ", one family of prompts")
    console.print(heading, highlight=False)
    by = card.fingerprint
    networks = (f"{name} {by[key]} ({str(by[f'{key}_sha256'])[:8]})" for name, key in _NETWORKS)
    console.print(Text(f"{', '.join(networks)}, protocol {by['protocol']}", "dim"))
    console.print(_scores(card))
    if any(score.low is not None for score in card.scores.values()):
        what = "for other families of prompts with references of their own, at this N"
        if card.families is None:
            what = "for single images drawn anew, as versions before this one made them: too narrow"
        console.print(Text(f"Intervals: {what}.\n", "dim"))
    for tier in card.tiers:
        console.print(_tier(tier, card))
    if card.mark is not None:
        console.print(_mark(card.mark, card.suspect))
    if card.accuracy:
        accuracy = ", ".join(f"{name} {fraction:.1%}" for name, fraction in card.accuracy.items())
        console.print(Text.assemble("Drawn as asked: ", (accuracy, "bold"), "\n"))
    if card.suspicions is not None:
        console.print(_suspicions(card.suspicions))
    reasons: dict[str, list[str]] = {}
    for name, score in card.scores.items():
        if score.value is None:
            console.print(Text(f"{METRICS[name].label} is not available: {shown(str(score.reason), 400)}", "yellow"))
        elif score.reason:
            reasons.setdefault(score.reason, []).append(METRICS[name].label)
    for reason, labels in reasons.items():
        whose = "There is" if len(labels) == len(card.scores) else f"{', '.join(labels)}:"
        console.print(Text(f"{whose} {shown(reason, 1000)}", "yellow"))
    for note in card.notes:
        console.print(Text(f"Note: {shown(note, 400)}", "yellow"))


def _number(value: float | None, metric: Metric) -> str:
    text = metric.text(value, "n/a")
    return text.removeprefix("-") if not text.strip("-0.") else text  # rounding can leave a FID of −1e-6


def _scores(card: Scorecard) -> Table:
    intervals = any(score.low is not None for score in card.scores.values())
    table = Table("metric", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("score", justify="right", style="bold")
    if intervals:
        table.add_column("95 % interval")
    table.add_column("to compare", style="dim")
    for metrics, scores in ((METRICS, card.scores), (EXTRA_METRICS, card.extra or {})):
        for name, metric in metrics.items():
            if name in scores:
                cells = [f"{metric.label} {metric.arrow}", _number(scores[name].value, metric)]
                cells += [_interval(scores[name], metric)] * intervals
                table.add_row(*cells, _context(name, card, metric))
        table.add_section()
    return table


def _interval(score: Score, metric: Metric) -> str:
    return "" if score.low is None else f"{_number(score.low, metric)} … {_number(score.high, metric)}"


def _context(name: str, card: Scorecard, metric: Metric) -> str:
    known = {
        "clip_t": (("clip_t_references", "references {}"), ("clip_t_shuffled", "wrong prompts {}")),
        "is": (("is_std", "± {} over 10 splits"),),
    }.get(name, ())
    return "\n".join(text.format(_number(card.context[key], metric)) for key, text in known if key in card.context)


def _tier(tier: TierResult, card: Scorecard) -> Table:
    scores = card.scores
    close = {c.metric for c in tier.checks if c.metric in scores and scores[c.metric].too_close(c.threshold)}
    passed = ("passed", "bold green") if tier.passed else ("missed", "bold red")
    title = Text.assemble(f"tier {shown(tier.name)}: ", passed)
    if close and all(check.passed or check.metric in close for check in tier.checks):
        title.append(f" (cannot tell at N = {card.n})", "yellow")
    table = Table("metric", box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left", title_style="")
    for column in ("threshold", "score", "difference"):
        table.add_column(column, justify="right")
    table.add_column("verdict")
    for check in tier.checks:
        metric = METRICS[check.metric]
        difference = "" if check.difference is None else f"{check.difference:+.{metric.digits}f}"
        verdict = Text.assemble(("passed", "green") if check.passed else ("missed", "red"))
        if check.metric in close:
            verdict.append(", too close to tell", "yellow")
        cells = (metric.label, metric.limit(check.threshold), _number(check.value, metric), difference)
        table.add_row(*cells, verdict)
    return table


def _mark(mark: Mark, suspect: bool) -> Text:
    if suspect:
        return Text("Mark: none, for the submission is suspect: it breaks a rule of the competition\n", "bold red")
    earned = ", ".join(f"{METRICS[name].label} earns {part:g} %" for name, part in mark.earned.items())
    return Text.assemble("Mark: ", (f"{mark.value:g} %", "bold"), (f" ({earned})\n", "dim"))


def _suspicions(suspicions: Suspicions) -> Text:
    found = ", ".join(suspicions.sentences())
    text = Text(f"Looked for cheating and collapse: {found}\n")
    for check in suspicions.rules:
        if check.passed is False:
            text.append(f"Suspect, breaks {check.rule}: {shown(check.reason, 400)}\n", "bold red")
        elif check.passed is None:
            text.append(f"{check.rule} {check.reason}\n", "yellow")
    return text
