"""`python -m leaderboard show | table | check | rename | remove`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from leaderboard import board, editing, entry, gate_files, show, table
from leaderboard.entry import NotMeasured
from leaderboard.gate import SIGNS, GateResult, evaluate, tier_of
from leaderboard.ranking import rank
from submission import atomic, commands
from submission.atomic import check_kept, check_writable
from submission.competition import Competition, own_files
from submission.errors import CompetitionError, MissingPart, UsageError, exit_code, run, shown

TOP = 200  # entries of a table that are shown: a person reads no more, and a terminal takes a second for them
EXIT_CODES = """exit codes of check: 0 beats the gate, 1 valid but does not or cannot tell at this N,
2 wrong usage, 3 invalid submission or competition, 4 something needed is missing"""

_ALL = "every entry, not only each name's best"
_COMPETITION = "a name or a path (default: %(default)s)"
_EDITED = "only in this competition (default: in all)"


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    # What follows "--" is for the scorer that `check` runs: argparse would take it for positional arguments.
    split = words.index("--") if words[:1] == ["check"] and "--" in words else len(words)
    parser = _parser()
    arguments, unknown = parser.parse_known_args(words[:split])
    if unknown:
        if arguments.command is _check:
            _clear(arguments)
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    arguments.scorer_options = words[split + 1 :]
    return int(arguments.command(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m leaderboard",
        description="The board of measured submissions, and the gate that an entry must beat.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EXIT_CODES,
    )
    subcommands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str, **more: Any) -> Callable[..., Any]:
        made = subcommands.add_parser(name, help=text, **more)
        made.set_defaults(command=run)
        return made.add_argument

    add = command("show", _show, "print the board: shipped baselines and local entries together")
    add("--all", action="store_true", help=_ALL)
    text = "the first N entries of each table, 0: all of them (default: %(default)s)"
    add("--top", type=_count, default=TOP, metavar="N", help=text)
    add("--competition", metavar="C", help="only this competition: a name or a path (default: all)")

    add = command("table", _table, "write the models of a competition as a table for a paper")
    add("--competition", default="bestiary", metavar="C", help=_COMPETITION)
    add("--format", choices=("markdown", "csv"), default="markdown", help="default: %(default)s")
    add("--out", type=Path, metavar="FILE", help="write there (default: print)")
    add("--all", action="store_true", help=_ALL)

    add = command(
        "check",
        _check,
        "does a submission beat the competition's gate?",
        description="Measure a submission, or find what this machine measured of these very bytes, and judge it.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"{EXIT_CODES}\n\nOptions after -- are the scorer's: … check my_images -- --inception-weights FILE",
    )
    add("target", nargs="?", type=Path, metavar="SUBMISSION", help="a folder or zip of images")
    add("--competition", default="bestiary", metavar="C", help=_COMPETITION)
    add("--tier", metavar="NAME", help="the tier to beat (default: the competition's gate)")
    add("--json", type=Path, metavar="FILE", help="write the answer as JSON")
    add("--junit", type=Path, metavar="FILE", help="write the answer as JUnit XML")
    text = "measure nothing, and believe this scorecard (or board, a .csv); the answer says so everywhere"
    add("--trust", type=Path, metavar="FILE", help=text)
    add("--not-judged", metavar="WHY", help="judge nothing, and write this as the answer; exit code 4")

    add = command("rename", _rename, "give an entry of the local board another name")
    add("old", metavar="OLD")
    add("new", metavar="NEW")
    add("--competition", metavar="C", help=_EDITED)

    add = command("remove", _remove, "take an entry off the local board; its history keeps it")
    add("name", metavar="NAME")
    add("--submission", metavar="SHA256", help="only those whose hash begins so (default: all)")
    add("--competition", metavar="C", help=_EDITED)

    text = "the local board (default: %(default)s)"
    for made in subcommands.choices.values():
        made.add_argument("--leaderboard", type=Path, default=board.LOCAL, metavar="FILE", help=text)
    return parser


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def _show(arguments: argparse.Namespace) -> int:
    competitions = _competitions(arguments.competition)
    entries = board.entries(arguments.leaderboard)
    if arguments.competition is not None:
        entries = entries[entries["competition"].isin(competitions)]
    tiers = {name: found.tiers for name, found in competitions.items()}
    groups = rank(entries, tiers, every=arguments.all, top=arguments.top or None)
    if not groups:
        has = "is empty" if arguments.competition is None else f"has no entry of {', '.join(competitions)}"
        print(f"The board {has}. `{_how_to_enter(arguments.competition)}` puts one on it.")
    show.print_board(Console(highlight=False), groups, competitions)
    return 0


def _how_to_enter(competition: str | None) -> str:
    if competition is None:
        return commands.make("score", "scorer SUBMISSION")
    name = commands.named(competition, "COMPETITION")
    return commands.make(f"score COMPETITION={name}", f"scorer SUBMISSION --competition {name}")


def _table(arguments: argparse.Namespace) -> int:
    competition = Competition.load(arguments.competition)
    check_kept({"--out": arguments.out}, _kept(arguments))
    entries = board.entries(arguments.leaderboard)
    entries = entries[entries["competition"] == competition.name]
    groups = rank(entries, {competition.name: competition.tiers}, every=arguments.all)
    if not groups:
        raise MissingPart(
            f"the board has no entry of {competition.name}",
            looked_for=f"{board.SHIPPED} and {arguments.leaderboard}",
            get_it=_how_to_enter(arguments.competition),
        )
    text = table.markdown(groups) if arguments.format == "markdown" else table.as_csv(groups)
    if arguments.out is None:
        print(text, end="")
    else:
        atomic.write_text(arguments.out, text)
        print(f"table: {shown(str(arguments.out))}")
    return 0


def _rename(arguments: argparse.Namespace) -> int:
    count = editing.rename(arguments.leaderboard, arguments.old, arguments.new, _name_of(arguments.competition))
    return _changed(arguments, "Renamed", count, f"{shown(arguments.old)} to {shown(arguments.new)}")


def _remove(arguments: argparse.Namespace) -> int:
    competition = _name_of(arguments.competition)
    count = editing.remove(arguments.leaderboard, arguments.name, competition, arguments.submission)
    return _changed(arguments, "Removed", count, shown(arguments.name))


def _changed(arguments: argparse.Namespace, done: str, count: int, whose: str) -> int:
    entries = "1 entry" if count == 1 else f"{count} entries"
    print(f"{done} {entries} of {whose}\nAs they were: {editing.history_path(arguments.leaderboard)}")
    return 0


def _name_of(competition: str | None) -> str | None:
    return None if competition is None else Competition.load(competition).name


def _kept(arguments: argparse.Namespace) -> dict[str, Path | None]:
    """What no output may replace, in words."""
    return {
        "the board": arguments.leaderboard,
        "the board's history": editing.history_path(arguments.leaderboard),
        **own_files(arguments.competition),
    }


def _clear(arguments: argparse.Namespace) -> None:
    """Remove the answers of an earlier run, which are not to be read as this one's, however this one ends. Raises
    UsageError where this one's cannot be written."""
    files = {"--json": arguments.json, "--junit": arguments.junit}
    more = {"the submission": arguments.target, "what is to be trusted": arguments.trust}
    check_kept(files, _kept(arguments) | more)
    try:
        for path in filter(None, files.values()):
            atomic.remove_file(path)
    finally:
        check_writable(files)


def _check(arguments: argparse.Namespace) -> int:
    _clear(arguments)
    try:
        result = _judged(arguments)
    except Exception as error:
        code = error.exit_code if isinstance(error, NotMeasured) else exit_code(error)
        forms = gate_files.refused(code, str(error) or type(error).__name__, _problems(error))
        gate_files.write(arguments.json, arguments.junit, forms)
        if isinstance(error, NotMeasured):  # the scorer has said it
            print(f"not judged: {shown(str(error).splitlines()[0], 400)}", file=sys.stderr)
            return code
        raise
    _print(result)
    gate_files.write(arguments.json, arguments.junit, gate_files.answered(result))
    return result.exit_code


def _judged(arguments: argparse.Namespace) -> GateResult:
    if arguments.not_judged is not None:
        raise NotMeasured(4, arguments.not_judged.strip() or "no reason was given")
    competition = Competition.load(arguments.competition)
    tier = tier_of(competition, arguments.tier)
    if arguments.trust is not None:
        found = entry.trusted(arguments.trust, arguments.target, competition)
    elif arguments.target is not None:
        found = entry.measured(arguments.target, competition, arguments.competition, arguments.scorer_options)
    else:
        raise UsageError(
            f"name the submission to measure and judge: {commands.module('leaderboard check')} SUBMISSION\n"
            f"  (a row of the board is no measurement; --trust {arguments.leaderboard} judges its newest all the same)"
        )
    return evaluate(competition, tier, found)


def _problems(error: Exception) -> list[dict[str, str]]:
    problems = getattr(error, "problems", [])
    return [problem if isinstance(problem, dict) else asdict(problem) for problem in problems]


def _print(result: GateResult) -> None:
    console = Console(highlight=False, markup=False)
    console.print(f"{result.headline}: {shown(result.reason, 1000)}", style=SIGNS[result.verdict][1])
    console.print(f"  {result.basis}", style="bold red" if result.entry.trusted else "dim")
    for check in result.checks:
        sign, colour = SIGNS[check.verdict]
        value, difference, interval = check.cells
        remark = f"95 %: {interval}" if interval else check.reason
        line = f"  {sign} {check.requirement:<16} {value:>9} {difference:>9}  {shown(remark, 400)}"
        console.print(line.rstrip(), style=colour)
    for rule in result.entry.rules:
        sign, colour = {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}[rule.passed]
        value = "" if rule.value is None else f"{rule.value:g}"
        console.print(f"  {sign} {rule.rule:<24} {value:>9}  {shown(rule.reason, 400)}".rstrip(), style=colour)


def _competitions(chosen: str | None) -> dict[str, Competition]:
    """The chosen competition by its name; without one, all that ship and can be read."""
    found: dict[str, Competition] = {}
    for name in Competition.names() if chosen is None else [chosen]:
        try:
            competition = Competition.load(name)
            found[competition.name] = competition
        except (CompetitionError, MissingPart):  # the board of the others is still worth showing
            if chosen is not None:
                raise
    return found


if __name__ == "__main__":
    raise SystemExit(run(main))
