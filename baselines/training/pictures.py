"""The training pictures and captions of a competition as tensors in memory, and what trainings draw from them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from jaxtyping import Int64, UInt8
from PIL import Image
from safetensors.torch import load_file, save
from torch import Tensor

from baselines.processes import in_the_first
from baselines.training.data import read_training_data
from submission import atomic
from submission.progress import track


@dataclass(frozen=True)
class Pictures:
    """`images`: uint8 (N, 3, H, W); `captions[entry[i]]` are the captions of image i, and entry is int64 (N,)."""

    images: Tensor
    entry: Tensor
    captions: list[list[str]]

    @cached_property
    def sha256(self) -> str:
        """The hash of the images' shape and pixels, in hexadecimal."""
        digest = hashlib.sha256(repr(tuple(self.images.shape)).encode())
        digest.update(np.ascontiguousarray(self.images.numpy()).data)
        return digest.hexdigest()

    @cached_property
    def distinct_captions(self) -> list[str]:
        """All different captions, sorted."""
        return sorted({caption for captions in self.captions for caption in captions})

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


def load_pictures(folder: Path) -> Pictures:
    """All training pictures of a data folder (train_info.json and train/), decoded.

    Raises:
        MissingPart, CompetitionError: as `read_training_data`.
    """
    entries = read_training_data(folder)
    paths = [(number, path) for number, entry in enumerate(entries) for path in entry.frames]
    images = [np.asarray(Image.open(path).convert("RGB")) for _, path in track(paths, "reading pictures")]
    return Pictures(
        torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(),
        torch.tensor([number for number, _ in paths]),
        [list(entry.captions) for entry in entries],
    )


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
