"""What a training is asked: a dataclass for each, which is its command line, a row of its presets, and how other
trainings call it."""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from accelerate import Accelerator

from baselines.hardware import DEVICES, PRECISIONS, decide, print_cost
from baselines.options import flag
from baselines.processes import in_the_first
from baselines.training import trainer
from baselines.training.pictures import Pictures, load_pictures
from baselines.training.run import Loss, M, Preview
from baselines.training.schedule import Schedule
from submission import commands, paths

S = TypeVar("S", bound="TrainingOptions")

MORE = "a second training set beside the data, such as what another model drew for captions of its own"


def option(default: Any, help: str, *, choices: Sequence[str] | None = None, most: float = math.inf) -> Any:
    """A dataclass's field that is an option of the command line too; `default` may be a function that makes it."""
    more = {"help": help, "choices": choices, "most": most}
    return field(default_factory=default, metadata=more) if callable(default) else field(default=default, metadata=more)


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What every training is asked."""

    data: Path = option(
        lambda: paths.data_home() / "bestiary",
        f"the training set, a folder with train_info.json and train/ ({commands.data('bestiary')})",
    )
    device: str = option("auto", DEVICES)
    precision: str = option(
        "auto", "the networks' arithmetic; auto: the fastest that the chip has units for", choices=("auto", *PRECISIONS)
    )
    compile: bool = option(False, "compile the network that is trained first: minutes, then faster")

    def accelerator(self, tolerates: Sequence[str] = PRECISIONS) -> Accelerator:
        """A new Accelerator for device and precision. Raises UsageError, MissingPart as `hardware.decide`."""
        hardware = decide(self.device, self.precision, tolerates)
        print_cost(hardware)
        return hardware.accelerator()

    def for_stage(self, stage: S, **changes: Any) -> S:
        """A stage's options with the data and the hardware of these, and `changes`."""
        names = ("data", "more", "device", "precision", "compile", "caption", "skip_bad")
        common = {name: getattr(self, name) for name in names if hasattr(self, name) and hasattr(stage, name)}
        return replace(stage, **{**common, **changes})


@dataclass(frozen=True, kw_only=True)
class ReadingOptions(TrainingOptions):
    """Of a training on any data."""

    caption: str | None = option(None, "made of a CSV's columns, such as 'a {animal} and a {object}'")
    skip_bad: bool = option(False, "leave out what is wrong in the training set, and say how much")

    def pictures(self) -> Pictures:
        """The training set, decoded. Raises MissingPart, CompetitionError as `load_pictures`."""
        return load_pictures(self.data, caption=self.caption, skip_bad=self.skip_bad)


@dataclass(frozen=True, kw_only=True)
class MoreOptions(TrainingOptions):
    """Of a training that may take in a second training set."""

    more: Path | None = option(None, MORE)

    def pictures(self) -> Pictures:
        """The training set and the second one, decoded. Raises as `load_pictures` and `Pictures.and_those_of`."""
        pictures = load_pictures(self.data)
        return pictures.and_those_of(self.more) if self.more else pictures


@dataclass(frozen=True, kw_only=True)
class RunOptions(TrainingOptions):
    """Of a training that is so many images long."""

    out: Path = option(Path("runs/training"), "the run's folder")
    images: int = option(100_000, "training images in all")
    batch_size: int = option(32, "images a step and process")
    learning_rate: float = option(1e-3, "at its peak")

    def train(
        self, model: M, loss: Loss[M], examples: int, schedule: Schedule, accelerator: Accelerator,
        preview: Preview[M] | None = None, checkpoint: Callable[[M], None] | None = None, /, **kept: object,
    ) -> Path:  # fmt: skip
        """`baselines.training.trainer.train` into the run's folder, where `kept` makes the run what it is, too."""
        return trainer.train(
            model, loss, examples, schedule, self.out,
            accelerator=accelerator, preview=preview, checkpoint=checkpoint, options=kept, compiled=self.compile,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SharedParts(TrainingOptions):
    """Of a training whose finished folder has parts that were trained before (`baselines.pretrained`)."""

    share: bool = option(False, "let the finished folder name such parts instead of holding copies")


@dataclass(frozen=True, kw_only=True)
class ModelOptions(TrainingOptions):
    """Of several trainings whose results are put together."""

    runs: Path = option(Path("runs"), "where the runs' folders go")
    out: Path = option(Path("runs/model"), "the finished model, for --weights")

    def finish(self, model: str, assemble: Callable[[], None]) -> Path:
        """Has the first process `assemble` the folder of a shipped model's kind; the folder."""

        def make() -> None:
            assemble()
            print(f"{self.out}: draw with {commands.drawing(model, self.out)}")

        in_the_first(self.accelerator(), make)
        return self.out


def parsed(
    parser: argparse.ArgumentParser | str | None, presets: S | Mapping[str, S], argv: Sequence[str] | None = None
) -> S:
    """The options that a command line says.

    Args:
        parser: with further arguments, if any; or a module's docstring, whose first line says what the command does.
        presets: the options by name, the first of them the default; or the only ones.
    """
    if not isinstance(parser, argparse.ArgumentParser):
        parser = command_parser(parser or "")
    table = presets if isinstance(presets, Mapping) else {"": presets}
    default = next(iter(table))
    if isinstance(presets, Mapping):
        parser.add_argument("--preset", choices=list(table), default=default, help="the options' defaults")
    kind = type(table[default])
    hints = get_type_hints(kind)
    for each in fields(kind):
        if (found := _described(kind, each.name)) is None:
            continue
        value, hint, choices = getattr(table[default], each.name), hints[each.name], found.metadata["choices"]
        origin, parts = get_origin(hint), [part for part in get_args(hint) if part is not type(None)]
        text = " ".join(map(str, value)) if origin is tuple else value
        shown = "" if value is None or value is False else f" (default: {text})".replace("%", "%%")
        more: dict[str, Any] = {"help": found.metadata["help"] + shown, "default": argparse.SUPPRESS}
        if hint is bool:
            always = not any(getattr(row, each.name) for row in table.values())
            more["action"] = "store_true" if always else argparse.BooleanOptionalAction
        elif origin is tuple:
            more |= {"type": parts[0], "choices": choices, "nargs": "+", "metavar": each.name.upper()}
        elif origin is Literal:
            more["choices"] = parts
        else:  # of one kind, or None
            kind_of = parts[0] if parts else hint
            read = partial(_number, found.metadata["most"], bool(parts)) if kind_of is float else kind_of
            more |= {"type": read, "choices": choices}
        parser.add_argument(flag(each.name), **more)
    given = vars(parser.parse_args(argv))
    chosen = table[given.pop("preset", default)]
    asked: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return replace(chosen, **asked)


def _number(most: float, or_none: bool, text: str) -> float | None:
    """A number from 0 on, or where it may be the word "none"."""
    if or_none and text == "none":
        return None
    with contextlib.suppress(ValueError):
        if 0 <= (number := float(text)) <= most and number < math.inf:
            return number
    span = "from 0 on" if most == math.inf else f"from 0 to {most:g}"
    raise argparse.ArgumentTypeError(f"{text!r} is not a number {span}{', or none' if or_none else ''}")


def _described(kind: type[TrainingOptions], name: str) -> Field[Any] | None:
    """The field with its help: a class that changes only the default of one need not repeat it; "" takes it away."""
    for each in kind.__mro__:
        found: Field[Any] | None = each.__dict__.get("__dataclass_fields__", {}).get(name)
        if found is not None and found.metadata:
            return found if found.metadata["help"] else None
    return None


def command(
    train: Callable[[S], object], description: str | None, presets: S | Mapping[str, S]
) -> Callable[[Sequence[str] | None], int]:
    """The `main` of a training's module, whose docstring is `description`: trains as the command line says."""

    def main(argv: Sequence[str] | None = None) -> int:
        train(parsed(description, presets, argv))
        return 0

    return main


def command_parser(description: str) -> argparse.ArgumentParser:
    """A parser that says the first line of `description`, a module's docstring, and defaults."""
    return argparse.ArgumentParser(
        description=description.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
