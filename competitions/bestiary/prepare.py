"""python -m competitions.bestiary.prepare: draw the bestiary's training and validation sets (`make data`)."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from competitions.bestiary import dataset
from submission import commands, image_hashes, paths
from submission.errors import run

SHIPPED = Path(__file__).resolve().parent


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m competitions.bestiary.prepare",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, default=paths.data_home() / "bestiary", help="where train/ and validation/ go")
    add("--workers", type=int, default=os.cpu_count() or 1, help="processes that draw")
    add("--test", action="store_true", help="redraw the shipped test.json, attributes.json and references.zip instead")
    text = "write the shipped hashes of the training images too, once they are drawn"
    add("--hashes", action="store_true", help=text)
    text = "write captions of N more monsters into OUT/captions instead, for a model to draw and another to learn from"
    add("--captions", type=int, metavar="N", help=text)
    args = parser.parse_args(argv)
    if args.captions is not None:
        if args.captions < 1:
            parser.error(f"--captions {args.captions} is not at least 1")
        folder = args.out / "captions"
        dataset.write_captions(dataset.more_entries(args.captions), folder)
        named = commands.named(folder, "FOLDER")
        draw = commands.module(f"baselines monster --competition {named} --out {named}/train")
        print(f"{args.captions} captions in {folder}; this makes a training set of them:\n  {draw}")
        return 0
    entries = dataset.splits()
    if args.test:
        dataset.write_competition_data(entries["test"], SHIPPED, args.workers, "test set")
        print(f"{len(entries['test'])} prompts and references in {SHIPPED}")
        return 0
    dataset.claim(args.out)
    if (args.out / "train_info.json").exists() and (args.out / "validation" / "competition.toml").exists():
        print(f"already drawn: {args.out} (remove the folder to draw it again)")
    else:
        dataset.write_validation(entries["validation"], args.out / "validation", args.workers, SHIPPED)
        images = dataset.write_training(entries["train"], args.out, args.workers)
        monsters = len({entry.monster for entry in entries["train"]})  # one without a picture is in no entry
        drawn = f"{images} training images of {monsters} monsters and {len(entries['validation'])} validation prompts"
        print(f"{drawn} in {args.out}")
    if args.hashes:
        codes = image_hashes.hash_folder(args.out / "train", progress=True)
        image_hashes.write_hashes(SHIPPED / "training.hashes", codes)
        print(f"hashes of {len(codes)} distinct training images in {SHIPPED / 'training.hashes'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
