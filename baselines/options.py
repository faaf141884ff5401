"""The options of generators: how each is typed on the command line, written in a competition.toml, and checked."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypedDict

from baselines.hardware import DEVICES, PRECISIONS
from submission import Competition
from submission.errors import CompetitionError, UsageError


@dataclass(frozen=True)
class Option:
    """`convert` reads the command line's text, None where the option stands there without a value and means True;
    `accepts` checks the value, wherever it comes from."""

    convert: Callable[[str], Any] | None
    accepts: Callable[[Any], bool]
    wanted: str
    help: str


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 1


GUIDES = ("pretrained", "finetuned", "noised", "noised-colours")  # of clip-guided, in the order of their training
_A_GUIDE = f"{', '.join(GUIDES)} or none"

OPTIONS: dict[str, Option] = {
    "weights": Option(str, lambda v: isinstance(v, str) and bool(v), "a text", "file, folder or hub id of its weights"),
    "steps": Option(int, _is_count, "a whole number of at least 1", "sampling steps"),
    "guidance_scale": Option(
        float,
        lambda v: type(v) in (int, float) and math.isfinite(v) and v >= 0,
        "a number of at least 0",
        "how hard to pull towards the prompt",
    ),
    "compile": Option(
        None, lambda v: isinstance(v, bool), "true or false", "compile the networks first: minutes, then faster"
    ),
    "guide": Option(
        str,
        lambda v: v in (*GUIDES, "none"),
        _A_GUIDE,
        f"which CLIP pulls: {_A_GUIDE}; beside noised, noised-colours does too",
    ),
    "guidance_form": Option(
        str,
        lambda v: v in ("normalised", "raw"),
        "normalised or raw",
        "what a guide's gradient is taken of: normalised (a cosine) or raw (a dot product)",
    ),
}
# Not handed to the generator but to the loop that calls it, so that every model has it.
BATCH_SIZE = Option(int, _is_count, "a whole number of at least 1", "prompts per call of the generator, padded to it")


class Asked(TypedDict, total=False):
    """What every pipeline may be asked; None is as its folder says."""

    weights: str | None
    steps: int | None
    guidance_scale: float | None


def add_hardware(parser: argparse.ArgumentParser) -> None:
    """`--device` and `--precision`, which `baselines.hardware.decide` reads."""
    parser.add_argument("--device", default="auto", metavar="D", help=f"{DEVICES} (default: %(default)s)")
    parser.add_argument(
        "--precision",
        default="auto",
        choices=("auto", *PRECISIONS),
        help="the networks' arithmetic (default: %(default)s, the fastest that the chip has units for)",
    )


def flag(name: str) -> str:
    """The command line's spelling: `guidance_scale` -> `--guidance-scale`."""
    return "--" + name.replace("_", "-")


def checked(model: str, takes: Collection[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are not None. Raises UsageError for one that `model` does not take, or with a bad value."""
    options = {name: value for name, value in options.items() if value is not None}
    for name, value in options.items():
        if name not in takes:
            known = f"it takes {', '.join(map(flag, takes))}" if takes else "it takes no options"
            raise UsageError(f"{model} takes no {flag(name)}: {known}")
        if name in OPTIONS and not OPTIONS[name].accepts(value):
            raise UsageError(f"{flag(name)} is {value!r}; it must be {OPTIONS[name].wanted}")
    return options


def competition_defaults(model: str, takes: Iterable[str], competition: Competition) -> dict[str, Any]:
    """What `[baselines.<model>]` of the competition says; a `weights` that is a path there becomes absolute.

    Raises:
        CompetitionError: a key that the model does not take, or a bad value.
    """
    table = competition.baselines.get(model, {})
    where = f"{competition.root / 'competition.toml'}: [baselines.{model}]"
    if not isinstance(table, dict):
        raise CompetitionError(f"{where} must be a table")
    known = {name: OPTIONS[name] for name in takes} | {"batch_size": BATCH_SIZE}
    for key, value in table.items():
        if key not in known:
            close = get_close_matches(key, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(known)}"
            raise CompetitionError(f"{where} has the unknown key {key!r}: {hint}")
        if not known[key].accepts(value):
            raise CompetitionError(f"{where} {key} is {value!r}; it must be {known[key].wanted}")
    defaults = dict(table)
    if "weights" in defaults:
        path = competition.path(defaults["weights"])
        if path.exists() or defaults["weights"].startswith("{data}/"):  # a hub id is no path there, and stays
            defaults["weights"] = str(path)
    return defaults
