"""python -m competitions.coco2014.prepare: COCO 2014's validation images and captions as the data of a competition.

One caption for each image, both chosen by the seed (`captions.py`).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from competitions.coco2014.captions import ANNOTATIONS_URL, Captioned, choose, read_captions
from submission import atomic, commands, paths
from submission.competition import Competition
from submission.errors import CompetitionError, MissingPart, Problem, UsageError, run
from submission.images import image_bytes
from submission.progress import in_threads
from submission.prompts import read_prompts

SIZE = 256
VERSION = 1  # of selection and resizing: raise it when either changes
IMAGES_URL = "http://images.cocodataset.org/zips/val2014.zip"


def reference(data: bytes) -> np.ndarray:
    """An image file -> uint8 (256, 256, 3): upright, RGB, its largest centred square, resized with Pillow's Lanczos.

    Raises OSError and others for what Pillow cannot decode.
    """
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data), formats=("JPEG", "PNG"))).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((SIZE, SIZE), Image.Resampling.LANCZOS))


def write(chosen: Sequence[Captioned], images: Path, out: Path) -> None:
    """references/ and, when all are there, test.json. References that are there already are kept.

    Raises:
        MissingPart: there is no folder `images`.
        CompetitionError: images that are not in it or cannot be decoded, all at once.
    """
    if not images.is_dir():
        raise MissingPart("the folder of COCO's images", looked_for=images, get_it=f"download and unpack {IMAGES_URL}")
    if absent := [entry.file_name for entry in chosen if not (images / entry.file_name).is_file()]:
        hint = f"IMAGES is the folder with the images of this caption file, from {IMAGES_URL}"
        raise CompetitionError(f"{images}: {hint}", [Problem(name, f"is not in {images}") for name in absent])
    (out / "references").mkdir(parents=True, exist_ok=True)

    def write_reference(entry: Captioned) -> Problem | None:
        path = out / "references" / entry.image_name
        if path.exists():
            return None
        try:
            data = image_bytes(reference((images / entry.file_name).read_bytes()), path.name)
            atomic.write_bytes(path, data, lasting=False)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            return Problem(entry.file_name, f"cannot be decoded: {error}", "unpack or download it again")
        return None

    done = in_threads(write_reference, chosen, "resizing references")
    if problems := [problem for problem in done if problem is not None]:
        raise CompetitionError(f"{images}: images that cannot be read", problems)
    entries = {
        str(entry.image_id): {
            "image_name": entry.image_name,
            "text_prompt": entry.caption,
            "image_id": entry.image_id,
            "caption_id": entry.caption_id,
        }
        for entry in chosen
    }
    atomic.sync_folder(out / "references")
    atomic.write_json(out / "test.json", entries)  # last: its presence says that all references are there


def claim(out: Path, source: dict[str, object]) -> None:
    """Marks `out` as made from `source`; one folder never mixes two selections. Raises UsageError for another one."""
    if differs := _differs(out, source):
        raise UsageError(f"{out} holds another selection ({differs} differ): remove the folder, or choose another")
    out.mkdir(parents=True, exist_ok=True)
    atomic.write_json(out / "source.json", source)


def _differs(out: Path, source: dict[str, object]) -> str:
    """In what the selection in `out` is another one than `source`; "" when it is the same, or there is none."""
    mark = out / "source.json"
    found = json.loads(mark.read_text(encoding="utf-8")) if mark.exists() else {}
    if found == source or not any((out / part).exists() for part in ("references", "test.json")):
        return ""
    return ", ".join(key for key in source if found.get(key) != source[key])


def name_of(n: int, seed: int) -> str:
    """The name of the competition of another selection than the one that `coco2014` names."""
    return f"coco2014-n{n}{f'-seed{seed}' if seed else ''}"


def competition_toml(n: int, seed: int) -> str:
    """The competition.toml of a selection with a folder of its own: the shipped one's rules, its own name and data."""
    text = (Competition.load("coco2014").root / "competition.toml").read_text(encoding="utf-8")
    for pattern, new in (
        (r"^(#|data_help).*\n", ""),
        (r'^name = "coco2014"$', f'name = "{name_of(n, seed)}"'),
        (r'^(title = ".*)"$', rf'\1 ({n:,} images, seed {seed})"'),
    ):
        text = re.sub(pattern, new, text, flags=re.MULTILINE)
    return text.replace("{data}/", "")


def _variable(name: str) -> str | None:
    """The Makefile's variable of that name, which `make data` leaves in the environment; None without make."""
    return os.environ.get(name) or None if "GIVEN" in os.environ else None


def _tell(out: Path) -> None:
    seed = json.loads((out / "source.json").read_text(encoding="utf-8"))["seed"]
    count = len(read_prompts(out / "test.json"))
    print(f"{count:,} prompts and references of {SIZE} pixels, seed {seed}, in {out}")
    own = out != paths.data_home() / "coco2014"
    where = commands.named(paths.readable(out), "FOLDER") if own else "coco2014"
    print(f"  {commands.make(f'score COMPETITION={where}', f'baselines MODEL --competition {where}')}")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m competitions.coco2014.prepare",
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--captions", type=Path, default=_variable("CAPTIONS"), metavar="FILE", help="captions_val2014.json")
    add("--images", type=Path, default=_variable("IMAGES"), metavar="DIR", help="val2014/")
    add("--n", type=int, default=_variable("N") or 10_000, help="how many images")
    add("--seed", type=int, default=_variable("SEED") or 0, help="chooses images and captions")
    default = paths.data_home() / "coco2014"
    text = f"where the data go ({default}; when that holds another selection, a folder beside it)"
    add("--out", type=Path, default=argparse.SUPPRESS, help=text)
    args = parser.parse_args(argv)
    marks = paths.data_home().glob("coco2014*/source.json")
    finished = sorted(mark.parent for mark in marks if mark.with_name("test.json").exists())
    if args.captions is None and args.images is None and "out" not in args and finished:
        for out in finished:
            _tell(out)
        print("another selection: CAPTIONS=captions_val2014.json IMAGES=val2014/ N=… SEED=…; it gets a folder beside")
        return 0
    if args.captions is None or args.images is None:
        how = commands.make(
            "data COMPETITION=coco2014 CAPTIONS=captions_val2014.json IMAGES=val2014/",
            "competitions.coco2014.prepare --captions captions_val2014.json --images val2014/",
        )
        raise UsageError(f"which captions and images? {how}\n  they are in {ANNOTATIONS_URL}\n  and {IMAGES_URL}")
    print(f"reading {args.captions}", file=sys.stderr, flush=True)  # half a minute on a slow machine
    files, captions = read_captions(args.captions)
    chosen = choose(files, captions, args.n, args.seed)
    if without := len(files) - len(captions):
        print(f"{without} images have no caption and were left out", file=sys.stderr)
    # The hash is of what was chosen, whatever the order and form of the captions' file.
    lines = "".join(f"{entry.image_id} {entry.caption_id} {entry.file_name} {entry.caption}\n" for entry in chosen)
    digest = hashlib.sha256(lines.encode()).hexdigest()
    source = {"version": VERSION, "n": args.n, "seed": args.seed, "captions": digest}
    out = getattr(args, "out", default)
    if "out" not in args and _differs(default, source):
        out = default.with_name(name_of(args.n, args.seed))
    claim(out, source)
    if out.absolute() != default:
        atomic.write_text(out / "competition.toml", competition_toml(args.n, args.seed))
    if (out / "test.json").exists():
        print(f"already made: {out} (remove the folder to make it again)")
    else:
        write(chosen, args.images, out)
    _tell(out)
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
