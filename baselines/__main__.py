"""Draw a submission: one image for each prompt of a competition."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from baselines import listing, redraw, registry
from baselines import options as option
from baselines.draw import Request, draw
from baselines.exits import keep_exit_code
from baselines.generator import GeneratorError
from baselines.processes import shard_of, together
from submission import Competition, Manifest, commands, launcher
from submission.errors import UsageError, run, say, shown, shown_lines
from submission.files import FolderFiles
from submission.paths import submission_folder


def shard(text: str) -> tuple[int, int]:
    """`I/N` -> (I, N). Raises ArgumentTypeError."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N, such as 0/4")
    return int(match[1]), int(match[2])


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="python -m baselines",
        description=__doc__,
        epilog="A run that was killed goes on where it stopped; drawing again what is complete does nothing.",
    )
    add = result.add_argument
    add("model", nargs="?", help="a model's name (see --list), or FILE.py:Class for your own")
    add("--list", action="store_true", help="list the models and what of each is on this machine")
    text = (
        "draw again what this submission.json says, and compare the bytes; of other options only where things are "
        "(MODEL for a file of your own, --competition, --weights, --out) and --device, --precision, --limit, --shard"
    )
    add("--from", dest="manifest", type=Path, metavar="FILE", help=text)
    add("--competition", metavar="C", help="a name or a path (default: bestiary)")
    add("--out", type=Path, help="folder to draw into (default: submission/out/<competition>/<model>)")
    add("--seed", type=int, help="another seed draws other images (default: 0)")
    add("--limit", type=int, metavar="N", help="only the first N prompts: to try out (default: all)")
    text = "draw every N-th image from the I-th, with I from 0 to N - 1; all N may write into one folder at once"
    add("--shard", type=shard, default=(0, 1), metavar="I/N", help=f"{text} (default: 0/1, all)")
    option.add_hardware(result)
    text = f"{option.BATCH_SIZE.help} (default: the generator's own)"
    add(option.flag("batch_size"), type=int, metavar="N", help=text)
    for name, each in option.OPTIONS.items():
        text = f"{each.help} (default: the model's own)"
        if each.convert is None:
            add(option.flag(name), action="store_const", const=True, help=text)
        else:
            add(option.flag(name), type=each.convert, help=text)
    add("--overwrite", action="store_true", help="draw again, also what other settings drew into --out")
    return result


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    if arguments.list:
        listing.show(Competition.load(arguments.competition or "bestiary"))
        return 0
    if arguments.model is None and arguments.manifest is None:
        raise UsageError(f"which model? `{commands.module('baselines --list')}` lists them")
    try:
        return _draw(arguments)
    except GeneratorError as error:
        keep_exit_code()
        if os.environ.get("DRAWOFF_TRACEBACK", "") not in ("", "0"):
            raise
        notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
        say(f"error: {shown_lines(f'{error}{notes}')}\n  DRAWOFF_TRACEBACK=1 shows the whole traceback")
        return 4


def _draw(arguments: argparse.Namespace) -> int:
    manifest = None if arguments.manifest is None else redraw.read(arguments.manifest)
    request = _request(arguments) if manifest is None else _request_again(manifest, arguments)
    recipe, competition = request.recipe, request.competition
    here = launcher.place()
    request = replace(request, shard=shard_of(arguments.shard, here), limit=arguments.limit)
    out = arguments.out or submission_folder(competition.name, recipe.model, request.seed)
    if manifest is not None and arguments.out is None:  # what is drawn again is drawn beside the first drawing
        out = out.with_name(f"{out.name}-again")
    with together(here) as total:
        outcome = draw(request, out, overwrite=arguments.overwrite)
        drawn = total(outcome.drawn)
    if not here.first:
        return 0
    if here.count > 1:  # what all of them drew is there now
        outcome = replace(draw(replace(request, shard=arguments.shard), out), drawn=drawn)
    where = shown(str(out))
    of_part = f"{outcome.asked} of {len(competition.prompts)} images"
    if outcome.complete:
        state = "already complete" if not outcome.drawn else f"complete, {outcome.drawn} drawn now"
        print(f"{where}: {state}: {len(competition.prompts)} images by {shown(recipe.model)}, seed {request.seed}")
    elif not outcome.drawn:
        print(f"{where}: already complete for these {of_part}; the others are still to be drawn")
    else:
        print(f"{where}: {outcome.drawn} drawn now, {of_part} asked for; the submission is not complete yet")
    same = True
    if manifest is not None:
        same, sentence = redraw.comparison(manifest, out, competition)
        print(f"  {sentence}")
    for note in FolderFiles(out).notes:
        print(f"  note: {shown(note, 400)}")
    return 0 if same else 3


def _request(arguments: argparse.Namespace) -> Request:
    competition = Competition.load(arguments.competition or "bestiary")
    options = {name: getattr(arguments, name) for name in option.OPTIONS}
    return Request(
        registry.recipe(arguments.model, competition, **options),
        competition,
        seed=arguments.seed or 0,
        batch_size=arguments.batch_size,
        device=arguments.device,
        precision=arguments.precision,
    )


def _request_again(manifest: Manifest, arguments: argparse.Namespace) -> Request:
    settled = [name for name in ("seed", "batch_size", *option.OPTIONS) if name != "weights"]
    if given := [option.flag(name) for name in settled if getattr(arguments, name) is not None]:
        raise UsageError(f"--from takes the settings from the manifest: leave out {', '.join(given)}")
    return redraw.request(
        manifest, arguments.model, arguments.competition, arguments.weights, arguments.device, arguments.precision
    )


if __name__ == "__main__":
    raise SystemExit(run(main))
