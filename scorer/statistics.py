"""`python -m scorer statistics FOLDER --inception P --out F.npz`: the mean and covariance of a folder's features.

For a competition whose FID is against more images than the references of its prompts, or against images that may not be
given away: `statistics = "F.npz"` in its competition.toml.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from scorer.decoding import ahead, by_shape, on_device, readable
from scorer.device import exact_float32, pick_device
from scorer.frechet import feature_statistics
from scorer.measure import Rows, require_finite
from scorer.networks.inception import find_inception
from scorer.networks.protocols import PROTOCOLS
from submission.archive import open_files
from submission.errors import CompetitionError, MissingPart, Problem, UsageError
from submission.image_names import SUFFIXES
from submission.images import max_file_bytes, read_image
from submission.progress import track
from submission.safe_read import NotReadable, read_regular
from submission.statistics import Statistics, write_statistics


def main(argv: Sequence[str]) -> int:
    options = vars(_parser().parse_args(argv))
    out: Path = options.pop("out")
    # What would fail after minutes of work fails before them.
    if out.suffix != ".npz":
        raise UsageError(f"--out {out}: statistics are an .npz file")
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: {'is a folder' if out.is_dir() else f'there is no folder {out.parent}'}")
    if options["batch_size"] < 1:
        raise UsageError("the batch size is at least 1")
    found = make_statistics(**options)
    write_statistics(out, found)
    d = len(found.mean)
    print(f"statistics of {found.n:,} images, {d} features of the Inception {found.inception}: {out}")
    print(f'  in competition.toml: statistics = "{out.name}"')
    if found.n is not None and found.n <= d:
        print(f"  note: with no more images than features ({d}), a FID is mostly a matter of their number")
    return 0


def make_statistics(
    folder: Path,
    inception: str,
    inception_weights: Path | None = None,
    device: str = "auto",
    batch_size: int = 64,
    *,
    trust_weights: bool = False,
) -> Statistics:
    """The statistics of all PNG and JPEG files in `folder` and the folders in it, or in a zip: two or more.

    With `trust_weights` the code in a TorchScript file of another layout than NVIDIA's runs.

    Raises MissingPart where there are too few, or no weights; CompetitionError that names every file which cannot be
    read.
    """
    where = pick_device(device)
    backbone = find_inception(inception, inception_weights, trusted=trust_weights)
    images = _images(folder)
    if len(images) < 2:
        few = "there are no images" if not images else "there is one image"
        raise MissingPart(f"{few}, and a covariance needs two", looked_for=folder, get_it="name the folder of images")
    network = backbone.load(where)
    problems: list[Problem] = []
    rows = Rows(len(images))
    decoded = track(ahead(_read, [*enumerate(images)], 2 * batch_size), "measuring images", total=len(images))
    with torch.inference_mode(), exact_float32():
        for group in by_shape(readable(decoded, problems), lambda item: item[1], batch_size):
            if problems:
                continue  # only to hear of every bad file
            batch = on_device([image for _, image in group], where)
            rows.add("features", torch.tensor([number for number, _ in group]), network.features(batch))
        if problems:
            raise CompetitionError(f"{folder}: some files are not images to measure", problems)
        features = rows.tensors()["features"]
        require_finite(features, f"{inception} ({backbone.sha256[:12]}…)")
        mean, covariance = (table.cpu().numpy() for table in feature_statistics(features))
    return Statistics(mean, covariance, len(images), inception, backbone.sha256)


def _images(folder: Path) -> list[tuple[str, Callable[[], bytes]]]:
    """The images of a folder or zip: the name of each, and what reads its file."""
    limit = max_file_bytes(None)
    if folder.is_dir():
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        return [(path.name, partial(read_regular, path, limit, follow=True)) for path in paths]
    if not folder.exists():
        raise MissingPart("there is no such folder of images", looked_for=folder, get_it="name the folder")
    try:
        files = open_files(folder)
    except NotReadable as error:
        raise CompetitionError(f"{folder}: {error}; name a folder of images, or a zip of one") from None
    if files.problems:
        raise CompetitionError(f"{folder}: some files cannot be read", files.problems)
    names = [name for name in files.names if name.lower().endswith(SUFFIXES)]
    return [(name, partial(files.read, name, limit)) for name in names]


def _read(numbered: tuple[int, tuple[str, Callable[[], bytes]]]) -> tuple[int, np.ndarray] | Problem:
    number, (name, read) = numbered
    try:
        return number, read_image(read(), None, grey=True)
    except NotReadable as error:
        return error.problem(name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scorer statistics",
        description="Write the mean and covariance of a folder's Inception features, which a competition may name as "
        "`statistics`; pytorch-fid and clean-fid read the file too.",
        epilog="exit codes: 0 written, 2 wrong usage, 3 files that are not images, 4 something needed is missing",
    )
    add = parser.add_argument
    add("folder", metavar="FOLDER", type=Path, help="the PNG and JPEG files in it and in its folders, or a zip")
    text = f"which network, as in competition.toml: {', '.join(PROTOCOLS)}"
    add("--inception", required=True, choices=tuple(PROTOCOLS), metavar="PROTOCOL", help=text)
    add("--out", "-o", type=Path, default=Path("statistics.npz"), help="the file to write (default: %(default)s)")
    add("--inception-weights", type=Path, metavar="FILE", help="Inception's weights on this disk")
    add("--trust-weights", action="store_true", help="let the code in a TorchScript file of Inception run")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")
    add("--batch-size", type=int, default=64, metavar="B", help="images per batch (default: %(default)s)")
    return parser
