"""`python -m leaderboard show | table | check`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console

from leaderboard import board, comparison, report, table
from leaderboard.entry import measured
from leaderboard.gate import GateResult, Verdict, evaluate, tier_of
from leaderboard.ranking import rank
from submission import atomic
from submission.competition import Competition
from submission.errors import CompetitionError, MissingPart, SubmissionError, run

EXIT_CODES = """exit codes of check: 0 beats the gate, 1 valid but does not or cannot tell at this N,
2 wrong usage, 3 invalid submission or competition, 4 something needed is missing"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in `argv`; the exit code."""
    arguments = _parser().parse_args(argv)
    return arguments.command(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m leaderboard",
        description="The board of measured submissions, and the gate that an entry must beat.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EXIT_CODES,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    show = commands.add_parser("show", help="print the board: shipped baselines and local entries together")
    show.add_argument("--all", action="store_true", help="every entry, not only each name's best")
    show.add_argument("--competition", metavar="C", help="only this competition: a name or a path (default: all)")
    show.set_defaults(command=_show)

    compare = commands.add_parser("table", help="write the models of a competition as a table for a paper")
    compare.add_argument(
        "--competition", default="bestiary", metavar="C", help="a name or a path (default: %(default)s)"
    )
    compare.add_argument("--format", choices=("markdown", "csv"), default="markdown", help="default: %(default)s")
    compare.add_argument("--out", type=Path, metavar="FILE", help="write there (default: print)")
    compare.add_argument("--all", action="store_true", help="every entry, not only each name's best")
    compare.set_defaults(command=_compare)

    check = commands.add_parser(
        "check",
        help="does an entry beat the competition's gate?",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EXIT_CODES,
    )
    check.add_argument(
        "target",
        nargs="?",
        type=Path,
        help="a scorecard's JSON, or a submission with its scorecard beside it as TARGET.scorecard.json "
        "(default: the newest entry of the local board)",
    )
    check.add_argument("--competition", default="bestiary", metavar="C", help="a name or a path (default: %(default)s)")
    check.add_argument("--tier", metavar="NAME", help="the tier to beat (default: the competition's gate)")
    check.add_argument("--json", type=Path, metavar="FILE", help="write the answer as JSON")
    check.add_argument("--junit", type=Path, metavar="FILE", help="write the answer as JUnit XML")
    check.set_defaults(command=_check)

    for command in (show, compare, check):
        command.add_argument(
            "--leaderboard",
            type=Path,
            default=board.LOCAL,
            metavar="FILE",
            help="the local board (default: %(default)s)",
        )
    return parser


def _show(arguments: argparse.Namespace) -> int:
    competitions = _competitions(arguments.competition)
    entries = board.entries(arguments.leaderboard)
    if arguments.competition is not None:
        entries = [entry for entry in entries if entry.row.competition in competitions]
    groups = rank(entries, {name: found.tiers for name, found in competitions.items()}, every=arguments.all)
    if not groups:
        print("The board is empty. `make score` puts an entry on it.")
    table.show(Console(highlight=False), groups, competitions)
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    competition = Competition.load(arguments.competition)
    entries = [one for one in board.entries(arguments.leaderboard) if one.row.competition == competition.name]
    groups = rank(entries, {competition.name: competition.tiers}, every=arguments.all)
    if not groups:
        raise MissingPart(
            f"the board has no entry of {competition.name}",
            looked_for=f"{board.SHIPPED} and {arguments.leaderboard}",
            get_it=f"make score COMPETITION={arguments.competition} MODEL=…",
        )
    text = comparison.markdown(groups) if arguments.format == "markdown" else comparison.as_csv(groups)
    if arguments.out is None:
        print(text, end="")
    else:
        atomic.write_text(arguments.out, text)
        print(f"table: {arguments.out}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    try:
        competition = Competition.load(arguments.competition)
        tier = tier_of(competition, arguments.tier)
        entry = measured(arguments.target, competition, arguments.leaderboard)
        result = evaluate(competition, tier, **entry)
    except (SubmissionError, CompetitionError, MissingPart) as error:
        report.write(arguments.json, arguments.junit, report.error_json(str(error)), report.junit_error(str(error)))
        report.append_step_summary(f"### ❌ not judged\n\n```\n{str(error).replace('```', '')}\n```\n")
        raise
    _print(result)
    report.write(arguments.json, arguments.junit, report.as_json(result), report.junit(result))
    report.append_step_summary(report.markdown(result))
    return result.exit_code


def _print(result: GateResult) -> None:
    colours = {Verdict.BEATS: "green", Verdict.FAILS: "red", Verdict.UNKNOWN: "yellow"}
    console = Console(highlight=False, markup=False)
    console.print(f"{result.headline}: {result.reason}", style=colours[result.verdict])
    marks = {Verdict.BEATS: "✓", Verdict.FAILS: "✗", Verdict.UNKNOWN: "?"}
    for check in result.checks:
        digits = check.metric.digits
        value = "–" if check.score.value is None else f"{check.score.value:.{digits}f}"
        difference = "" if check.difference is None else f"{check.difference:+.{digits}f}"
        low, high = check.score.low, check.score.high
        remark = check.reason if low is None or high is None else f"95 %: {low:.{digits}f} … {high:.{digits}f}"
        line = f"  {marks[check.verdict]} {check.requirement:<16} {value:>9} {difference:>9}  {remark}"
        console.print(line.rstrip(), style=colours[check.verdict])
    for rule in result.rules:
        mark, colour = {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}[rule.passed]
        value = "" if rule.value is None else f"{rule.value:g}"
        console.print(f"  {mark} {rule.rule:<24} {value:>9}  {rule.reason}".rstrip(), style=colour)


def _competitions(chosen: str | None) -> dict[str, Competition]:
    """The chosen competition by its name; without one, all that ship and can be read."""
    if chosen is not None:
        competition = Competition.load(chosen)
        return {competition.name: competition}
    return {found.name: found for found in _readable(Competition.names())}


def _readable(names: Iterable[str]) -> Iterable[Competition]:
    for name in names:
        try:
            yield Competition.load(name)
        except (CompetitionError, MissingPart):  # the board of the others is still worth showing
            continue


if __name__ == "__main__":
    sys.exit(run(main))
