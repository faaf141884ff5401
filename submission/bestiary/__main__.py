"""python -m submission.bestiary: draw the bestiary's training and validation sets (`make data`)."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from submission import paths
from submission.bestiary import dataset
from submission.errors import run

SHIPPED = Path(__file__).resolve().parents[1] / "competitions" / "bestiary"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m submission.bestiary",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--out", type=Path, default=paths.data_home() / "bestiary", help="where train/ and validation/ go"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that draw")
    parser.add_argument(
        "--test", action="store_true", help="redraw the shipped test.json, attributes.json and references.zip instead"
    )
    args = parser.parse_args(argv)
    entries = dataset.splits()
    if args.test:
        dataset.write_competition_data(entries["test"], SHIPPED, args.workers, "test set")
        print(f"{len(entries['test'])} prompts and references in {SHIPPED}")
        return 0
    dataset.claim(args.out)
    if (args.out / "train_info.json").exists() and (args.out / "validation" / "competition.toml").exists():
        print(f"already drawn: {args.out} (remove the folder to draw it again)")
        return 0
    dataset.write_validation(entries["validation"], args.out / "validation", args.workers, SHIPPED / "competition.toml")
    images = dataset.write_training(entries["train"], args.out, args.workers)
    monsters = len({entry.monster for entry in entries["train"]})  # one without a picture is in no entry
    print(
        f"{images} training images of {monsters} monsters and "
        f"{len(entries['validation'])} validation prompts in {args.out}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
