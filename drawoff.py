"""`drawoff COMMAND …`: one command for all rooms. Each is imported only when it is asked for.

As an installed command it looks for modules where it is installed, never in the current folder: it can be run inside a
stranger's submission.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from os.path import dirname
from pathlib import Path

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    sys.path[0] = dirname(__file__)

from submission.startup import watch_imports


@dataclass(frozen=True)
class Command:
    """A subcommand: the module whose `main` it calls, the words it puts before those that were typed, and its help."""

    module: str
    words: tuple[str, ...]
    help: str


COMMANDS = {
    "draw": Command("baselines.__main__", (), "draw one image for each prompt of a competition"),
    "score": Command("scorer.__main__", (), "measure a submission and put it on the board"),
    "check": Command("leaderboard.__main__", ("check",), "does a submission beat the competition's gate?"),
    "validate": Command("submission.__main__", ("validate",), "report every problem of a submission at once"),
    "import": Command("submission.__main__", ("import",), "make a submission of pictures that were drawn elsewhere"),
    "board": Command("leaderboard.__main__", ("show",), "print the board"),
    "rename": Command("leaderboard.__main__", ("rename",), "give an entry of the local board another name"),
    "remove": Command("leaderboard.__main__", ("remove",), "take an entry off the local board"),
    "table": Command("leaderboard.__main__", ("table",), "compare the models on the board, for a paper"),
    "sheet": Command("submission.__main__", ("sheet",), "draw a contact sheet of a submission"),
    "pack": Command("submission.__main__", ("pack",), "write a submission as a zip"),
    "data": Command("submission.__main__", ("data",), "say what of a competition's data is here"),
    "hashes": Command("submission.__main__", ("hashes",), "hash training images, so that copies are known"),
    "statistics": Command("scorer.__main__", ("statistics",), "make the statistics that FID is measured against"),
    "sweep": Command("experiments.sweep", (), "draw and score at several guidance scales"),
    "train": Command("", (), "train a model: one of those below"),
    "completion": Command("", (), "print what lets a shell complete these commands: bash, zsh, fish or tcsh"),
}


def trainers() -> dict[str, str]:
    """What can be trained -> the module whose `main` trains it."""
    from baselines.registry import MODELS

    known = {name: model.trainer for name, model in MODELS.items() if model.trainer}
    return {**known, "backbones": "experiments.backbones"}


def usage() -> str:
    commands = "\n".join(f"  {name:<12}{command.help}" for name, command in COMMANDS.items())
    more = f"  drawoff train {' | '.join(trainers())}\n  drawoff COMMAND --help shows a command's options"
    return f"usage: drawoff COMMAND …\n\nA text-to-image competition in a box.\n\n{commands}\n\n{more}"


def called_by(words: Sequence[str]) -> tuple[Callable[[list[str]], int | None], list[str]]:
    """The `main` that a command line is for, of the one room that is then imported, and what it is given.

    Raises UsageError.
    """
    from importlib import import_module

    from submission.errors import UsageError, shown

    name, *rest = words
    if name not in COMMANDS:
        raise UsageError(f"drawoff has no command {shown(name)!r}\n\n{usage()}")
    if name == "completion":
        return completion, rest
    module = COMMANDS[name].module
    if name == "train":
        known = trainers()
        if not rest or rest[0] not in known:
            raise UsageError(f"train what? One of {', '.join(known)}")
        module = known[rest.pop(0)]
    return import_module(module).main, [*COMMANDS[name].words, *rest]


def completion(argv: Sequence[str]) -> int:
    """Print the completion of a shell for all commands and their options, which imports every room.

    Raises:
        UsageError: no such shell.
    """
    import shtab

    from submission.errors import UsageError

    if len(argv) != 1 or argv[0] not in shtab.SUPPORTED_SHELLS:
        raise UsageError(f"completion for which shell? One of {', '.join(shtab.SUPPORTED_SHELLS)}")
    whole = ArgumentParser(prog="drawoff")
    commands = whole.add_subparsers()
    for name, command in COMMANDS.items():
        if name == "train":
            models = commands.add_parser(name, help=command.help).add_subparsers(help="what to train")
            for model in trainers():
                models.add_parser(model, parents=[parser_of(name, model)], add_help=False)
        elif name == "completion":
            commands.add_parser(name, help=command.help).add_argument("shell", choices=shtab.SUPPORTED_SHELLS)
        else:
            commands.add_parser(name, parents=[parser_of(name)], add_help=False, help=command.help)
    print(shtab.complete(whole, argv[0]))
    return 0


def parser_of(*words: str) -> ArgumentParser:
    """The parser of a command: the one that would answer its --help, whichever function makes it. Paths complete."""
    import shtab

    main, rest = called_by(words)
    found: list[ArgumentParser] = []
    print_help = ArgumentParser.print_help
    ArgumentParser.print_help = lambda self, file=None: found.append(self)  # type: ignore[method-assign]
    try:
        with suppress(SystemExit):  # which follows the help
            main([*rest, "--help"])
    finally:
        ArgumentParser.print_help = print_help  # type: ignore[method-assign]
    (parser,) = found
    for action in parser._actions:
        if action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the subcommand in `argv`; the exit code. Raises UsageError."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    run, rest = called_by(words)
    return int(run(rest) or 0)


def command() -> int:
    """The installed command `drawoff`."""
    watch_imports()
    from submission.errors import run

    return run(main)


if __name__ == "__main__":
    sys.exit(command())
