"""The training pictures and captions of a competition, in memory or in their files, and what trainings draw from them.

Every file is decoded before a training begins: what is wrong is said then, all at once, or left out where asked.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from jaxtyping import Int64, UInt8
from safetensors.torch import load_file, save
from torch import Tensor

from baselines.processes import in_the_first
from baselines.training.data import find_training_data, invalid, read_training_image
from submission import atomic
from submission.errors import Problem, listing, say
from submission.hashes import json_sha256
from submission.images import max_file_bytes, read_image
from submission.progress import in_threads
from submission.safe_read import NotReadable, read_regular


def pixels_sha256(images: UInt8[Tensor, "n 3 h w"]) -> str:
    """The hash of the images' shape and pixels, in hexadecimal."""
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    digest.update(np.ascontiguousarray(images.numpy()).data)
    return digest.hexdigest()


class Frames:
    """Image files that are decoded when they are asked for, by several threads. Each is RGB, `size` pixels a side.

    `sha256` is that of all files' bytes, in hexadecimal.
    """

    def __init__(self, paths: Sequence[Path], size: int, sha256: str) -> None:
        self.paths, self.size, self.sha256 = paths, size, sha256
        self._threads = ThreadPoolExecutor(os.cpu_count())

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, indices: Int64[Tensor, " b"]) -> UInt8[Tensor, "b 3 h w"]:
        pixels = list(self._threads.map(self._read, indices.tolist()))
        return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous()

    def _read(self, index: int) -> np.ndarray:
        return read_training_image(self.paths[index], self.size)


@dataclass(frozen=True)
class Captioned:
    """Pictures and captions of a training set: `captions[entry[i]]` are those of image i, and entry is int64 (n,)."""

    images: Tensor | Frames
    entry: Tensor
    captions: list[list[str]]

    @cached_property
    def sha256(self) -> str:
        """The pictures' hash, in hexadecimal."""
        return self.images.sha256 if isinstance(self.images, Frames) else pixels_sha256(self.images)

    @cached_property
    def distinct_captions(self) -> list[str]:
        """All different captions, sorted."""
        return sorted({caption for captions in self.captions for caption in captions})

    @cached_property
    def kept(self) -> dict[str, object]:
        """The hashes of pictures and captions, which a run's options keep: it must not be resumed with others."""
        return {"pictures": self.sha256, "captions": json_sha256([self.entry.tolist(), self.captions])}

    @cached_property
    def caption_numbers(self) -> list[list[int]]:
        """For each entry where its captions stand in `distinct_captions`."""
        number = {caption: index for index, caption in enumerate(self.distinct_captions)}
        return [[number[caption] for caption in captions] for captions in self.captions]

    def pick_captions(self, indices: Int64[Tensor, " b"], generator: torch.Generator) -> Int64[Tensor, " b"]:
        """One of the captions of each of these images, by its number in `distinct_captions`."""
        rng = random.Random(int(torch.randint(2**31, (), generator=generator)))
        return torch.tensor([rng.choice(self.caption_numbers[entry]) for entry in self.entry[indices].tolist()])

    def some_captions(self, count: int) -> list[str]:
        """At most `count` different captions at equal distances, for previews."""
        captions = self.distinct_captions
        return captions[:: max(1, len(captions) // count)][:count]


class Pictures(Captioned):
    """In memory: `images` is uint8 (N, 3, H, W)."""

    images: Tensor

    @property
    def some_images(self) -> Tensor:
        """About 2048 of the images at equal distances, for measuring a network, uint8 (n, 3, H, W)."""
        return self.images[:: max(1, len(self.images) // 2048)]

    def and_those_of(self, folder: Path) -> Pictures:
        """Together with those of another training set. Raises as `load_pictures`, and when they are of another size."""
        more = load_pictures(folder)
        if more.images.shape[1:] != self.images.shape[1:]:
            sizes = " and of ".join(f"{pictures.images.shape[-1]}" for pictures in (self, more))
            raise invalid(folder, [Problem("", f"two training sets with pictures of {sizes} pixels are not one")])
        entry = torch.cat([self.entry, more.entry + len(self.captions)])
        return Pictures(torch.cat([self.images, more.images]), entry, [*self.captions, *more.captions])


class PictureFiles(Captioned):
    """In their files."""

    images: Frames

    def some(self, numbers: Int64[Tensor, " k"]) -> PictureFiles:
        """These pictures alone, with their captions."""
        paths = [self.images.paths[number] for number in numbers.tolist()]
        frames = Frames(paths, self.images.size, f"{self.sha256}: {numbers.tolist()}")
        entries, entry = torch.unique(self.entry[numbers], return_inverse=True)
        captions = [self.captions[number] for number in entries.tolist()]
        return PictureFiles(frames, entry, captions)


def open_pictures(
    folder: Path,
    size: int | None = None,
    *,
    caption: str | None = None,
    skip_bad: bool = False,
    pixels: dict[Path, np.ndarray] | None = None,
) -> PictureFiles:
    """All training pictures of a data folder, in the course's layout or a CSV's, each decoded once to check it.

    Args:
        size: pixels a side; None: the first picture's.
        caption: how a CSV's captions are made of its columns.
        skip_bad: leave out what is wrong, and say how much on stderr.
        pixels: gets what was decoded.

    Raises:
        MissingPart: there is no training set.
        CompetitionError: anything is not as described, all of it at once; with `skip_bad` when nothing is left.
    """
    entries, problems = find_training_data(folder, caption)
    paths = [path for entry in entries for path in entry.frames]
    digests: dict[Path, bytes] = {}

    def check(path: Path, size: int | None) -> int | Problem:
        """The side of a picture, or what is wrong with it."""
        name = path.relative_to(folder).as_posix()
        try:
            data = read_regular(path, max_file_bytes(size), follow=True)
            image = read_image(data, size)
        except NotReadable as error:
            return error.problem(name)
        height, width = (int(side) for side in image.shape[:2])
        if height != width:
            return Problem(name, f"is {width}×{height} pixels, expected a square")
        digests[path] = hashlib.sha256(data).digest()
        if pixels is not None:
            pixels[path] = image
        return height

    if size is None:
        size = next((side for side in (check(path, None) for path in paths) if isinstance(side, int)), None)
    found = in_threads(partial(check, size=size), paths, "checking pictures")
    problems += [problem for problem in found if isinstance(problem, Problem)]
    good = [(entry, [path for path in entry.frames if path in digests]) for entry in entries]
    good = [(entry, frames) for entry, frames in good if frames]
    left = [path for _, frames in good for path in frames]
    if not left and not problems:
        problems.append(Problem("", "there are no pictures in it"))
    if size is None or not left or (problems and not skip_bad):
        raise invalid(folder, problems)
    if problems:
        say(f"{folder}: {len(left)} pictures are trained on; left out:\n{listing(problems)}")
    numbers = [number for number, (_, frames) in enumerate(good) for _ in frames]
    sha256 = hashlib.sha256(b"".join([str(size).encode(), *(digests[path] for path in left)])).hexdigest()
    captions = [list(entry.captions) for entry, _ in good]
    return PictureFiles(Frames(left, size, sha256), torch.tensor(numbers), captions)


def load_pictures(folder: Path, *, caption: str | None = None, skip_bad: bool = False) -> Pictures:
    """As `open_pictures`, decoded."""
    pixels: dict[Path, np.ndarray] = {}
    files = open_pictures(folder, caption=caption, skip_bad=skip_bad, pixels=pixels)
    images = torch.from_numpy(np.stack([pixels[path] for path in files.images.paths]))
    return Pictures(images.permute(0, 3, 1, 2).contiguous(), files.entry, files.captions)


def cropped_and_flipped(
    images: UInt8[Tensor, "b 3 s s"], crop: int | None, generator: torch.Generator
) -> UInt8[Tensor, "b 3 c c"]:
    """The same part of `crop` pixels (None: all) of each image, and half of the batches mirrored."""
    if crop is not None:
        top, left = torch.randint(0, images.shape[-1] - crop + 1, (2,), generator=generator).tolist()
        images = images[:, :, top : top + crop, left : left + crop]
    return images.flip(3) if torch.rand((), generator=generator) < 0.5 else images


def encoded_once(file: Path, encode: Callable[[], dict[str, Tensor]], accelerator: Accelerator) -> dict[str, Tensor]:
    """The tensors in `file` (safetensors); when it is not there, `encode` makes them first, in the first process.

    For what a fixed network makes of every picture or caption: a run that is resumed does not do it again.
    """

    def make() -> None:
        if not file.exists():
            tensors = encode()
            file.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_bytes(file, save(tensors))

    in_the_first(accelerator, make)
    return load_file(file)
