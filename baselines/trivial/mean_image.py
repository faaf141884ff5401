"""The mean of all training images, for every prompt: what a generator that learned nothing but the average draws.

`python -m baselines.trivial.mean_image --competition C --out FILE.png` writes it to a file, as the shipped one was.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from baselines.hardware import Hardware
from baselines.training.data import read_training_data, read_training_image
from submission import Competition, CompetitionError, MissingPart
from submission.atomic import write_bytes
from submission.errors import run
from submission.hashes import content_sha256, file_sha256
from submission.images import image_bytes, read_image
from submission.paths import cache_home, data_home, repo_root
from submission.progress import track


def shipped_path(name: str) -> Path:
    """Where the mean image of a shipped competition is kept, so that a fresh clone need not draw the training set."""
    return repo_root() / "baselines" / "weights" / "mean-image" / f"{name}.png"


class MeanImage:
    """One and the same picture for every prompt and seed."""

    def __init__(self, png: bytes, image_size: int | None) -> None:
        self.image = read_image(png, image_size)
        self.weights = {"mean-image": hashlib.sha256(png).hexdigest()}

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
        """(B, H, W, 3) uint8."""
        return np.repeat(self.image[None], len(prompts), axis=0)


def load(competition: Competition, hardware: Hardware) -> MeanImage:
    """The shipped mean image; for other competitions that of their training data, kept in the cache once computed.

    Raises:
        MissingPart: neither is on this machine.
    """
    shipped, data = shipped_path(competition.name), data_home() / competition.name
    if shipped.is_file():
        return MeanImage(shipped.read_bytes(), competition.image_size)
    kept = data / "mean-image.png"  # where older versions kept it: it may have outlived the data
    try:
        frames = frames_of(data)
        sha256 = content_sha256({str(frame.relative_to(data)): file_sha256(frame) for frame in frames})
        kept = cache_home() / "mean-image" / f"{sha256[:32]}.png"
    except MissingPart:
        if not kept.is_file():
            raise
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(kept, mean_image_png(frames, competition.image_size))
    return MeanImage(kept.read_bytes(), competition.image_size)


def frames_of(folder: Path) -> list[Path]:
    """Every frame of the training set in `folder`. Raises MissingPart, CompetitionError as `read_training_data`."""
    return [frame for entry in read_training_data(folder) for frame in entry.frames]


def mean_image_png(frames: Sequence[Path], image_size: int | None) -> bytes:
    """The mean of these images, rounded half up, as a PNG.

    Summed in integers: exact, and the same in any order.

    Raises:
        CompetitionError: a frame that is no RGB image of `image_size`, or of another size than the others.
    """
    total = np.zeros((), np.int64)
    for frame in track(frames, "averaging the training images"):
        image = read_training_image(frame, image_size)
        if total.ndim and total.shape != image.shape:
            raise CompetitionError(f"{frame}: its size differs from the other training images'")
        total = total + image
    mean = ((2 * total + len(frames)) // (2 * len(frames))).astype(np.uint8)
    return image_bytes(mean, "mean-image.png")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m baselines.trivial.mean_image", description=__doc__)
    parser.add_argument("--competition", default="bestiary", help="name or path of the competition (%(default)s)")
    parser.add_argument("--out", type=Path, help="the PNG to write (the shipped one's place)")
    arguments = parser.parse_args(argv)
    competition = Competition.load(arguments.competition)
    out = arguments.out or shipped_path(competition.name)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(out, mean_image_png(frames_of(data_home() / competition.name), competition.image_size))
    print(f"wrote {out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
