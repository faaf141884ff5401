"""The options that the training commands share, in the same words everywhere."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.hardware import PRECISIONS, decide, print_cost
from baselines.options import add_hardware, flag
from submission import commands, paths

if TYPE_CHECKING:
    from accelerate import Accelerator


def command_parser(description: str) -> argparse.ArgumentParser:
    """A parser that says the first line of `description`, a module's docstring, and every default."""
    return argparse.ArgumentParser(
        description=description.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """`--data`: the training set, by default the one that `make data` draws."""
    parser.add_argument(
        "--data",
        type=Path,
        default=paths.data_home() / "bestiary",
        help=f"the training set, a folder with train_info.json and train/ ({commands.data('bestiary')})",
    )


def add_run(
    parser: argparse.ArgumentParser,
    out: str,
    *,
    images: int,
    batch_size: int,
    learning_rate: float | None = None,
    counted: str = "training images",
) -> None:
    """`--out`, `--images`, `--batch-size`, and `--learning-rate` where one is given, with these defaults; hardware."""
    parser.add_argument("--out", type=Path, default=Path(out), help="the run's folder")
    parser.add_argument("--images", type=int, default=images, help=f"{counted} in all")
    parser.add_argument("--batch-size", type=int, default=batch_size, help="images a step and process")
    if learning_rate is not None:
        parser.add_argument("--learning-rate", type=float, default=learning_rate, help="at its peak")
    add_hardware(parser)


def accelerator_of(args: argparse.Namespace, tolerates: Sequence[str] = PRECISIONS) -> Accelerator:
    """The Accelerator for `--device` and `--precision`. Raises UsageError, MissingPart as `hardware.decide`."""
    hardware = decide(args.device, args.precision, tolerates)
    print_cost(hardware)
    return hardware.accelerator()


def hardware_arguments(args: argparse.Namespace) -> list[str]:
    """The same `--device` and `--precision` for the command of one stage."""
    return [text for name in ("device", "precision") for text in (flag(name), getattr(args, name))]


def add_model(parser: argparse.ArgumentParser, runs: str, out: str) -> None:
    """`--runs` and `--out` of a command that does several trainings and puts their results together."""
    parser.add_argument("--runs", type=Path, default=Path(runs), help="where the runs' folders go")
    parser.add_argument("--out", type=Path, default=Path(out), help="the finished model, for --weights")
    add_hardware(parser)


def add_share(parser: argparse.ArgumentParser) -> None:
    """`--share` of a command whose finished folder has parts that were trained before (`baselines.pretrained`)."""
    parser.add_argument(
        "--share", action="store_true", help="let the finished folder name such parts instead of holding copies"
    )
