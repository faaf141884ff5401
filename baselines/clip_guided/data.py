"""Labelled pictures of any kind as tensors in memory: a competition's training set, or folders with a label each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int, UInt8
from PIL import Image
from torch import Tensor

from baselines.clip_guided.plain_shapes import with_article
from baselines.training.data import read_training_data
from baselines.training.pictures import pixels_sha256
from submission.errors import CompetitionError, MissingPart, Problem
from submission.hashes import json_sha256
from submission.progress import track

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
Item = tuple[Path, str, str, tuple[str, ...]]  # file, group, label, captions


@dataclass(frozen=True)
class Labelled:
    """Pictures with a short label each, and captions where there are any.

    Attributes:
        images: uint8 (n, 3, size, size).
        label: of each picture, an index of `labels`.
        labels: the distinct ones, sorted.
        captions: of each picture; none where there is a label only.
        group: of each picture; pictures of one group show the same thing and never end up on both sides of a split.
    """

    images: UInt8[Tensor, "n 3 s s"]
    label: Int[Tensor, " n"]
    labels: list[str]
    captions: list[tuple[str, ...]]
    group: Int[Tensor, " n"]

    @cached_property
    def kept(self) -> dict[str, object]:
        """As `Captioned.kept`."""
        said = self.label.tolist(), self.labels, self.captions, self.group.tolist()
        return {"pictures": pixels_sha256(self.images), "captions": json_sha256(said)}


def read(folder: Path | str, size: int, labels: Path | str | None = None) -> Labelled:
    """The pictures in `folder` with Pillow's Lanczos filter at `size` x `size`, and what is said about them.

    Args:
        folder: a training set (`train_info.json`, `train/`, and `train_attributes.json` for labels such as "a red
            bear"; without it, the first caption is the label), or a folder of folders of pictures, or of pictures.
        size: of the pictures, in pixels.
        labels: for folders and pictures: a text file with one line each, `name<TAB>label`, by their names; or with the
            label alone, and then exactly one line for each of them in the order of their names. None: `labels.txt` in
            `folder`.

    Raises:
        MissingPart: a file or folder is not there.
        CompetitionError: labels and pictures do not fit together; all problems at once.
    """
    folder = Path(folder)
    if (folder / "train_info.json").exists():
        items = _of_training_set(folder)
    else:
        items = _of_labels(folder, Path(labels) if labels else folder / "labels.txt")
    paths, groups, labels_of, captions = zip(*items, strict=True)
    images = np.stack([_picture(path, size) for path in track(paths, "reading pictures")])
    label, group = pd.Categorical(labels_of), pd.Categorical(groups)
    return Labelled(
        torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(),
        torch.tensor(label.codes, dtype=torch.int64),
        list(label.categories),
        list(captions),
        torch.tensor(group.codes, dtype=torch.int64),
    )


def _picture(path: Path, size: int) -> UInt8[np.ndarray, "s s 3"]:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.LANCZOS))
    except OSError as error:
        raise CompetitionError(f"{path}: not a picture that Pillow reads: {error}") from None


def _of_training_set(folder: Path) -> list[Item]:
    entries = read_training_data(folder)
    path = folder / "train_attributes.json"
    attributes = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if attributes and (missing := [entry.key for entry in entries if entry.key not in attributes]):
        raise CompetitionError(f"{path}: lacks entries", [Problem(key, "has no attributes") for key in missing])
    items: list[Item] = []
    for entry in entries:
        label = _label(attributes[entry.key]) if attributes else entry.captions[0]
        items += [(frame, entry.key.partition("_")[0], label, entry.captions) for frame in entry.frames]
    return items


def _label(attributes: dict[str, Any]) -> str:
    return with_article(f"{attributes['colours'][0]} {attributes['body']}")


def _of_labels(folder: Path, labels: Path) -> list[Item]:
    for part, there in ((folder, folder.is_dir()), (labels, labels.is_file())):
        if not there:
            raise MissingPart(
                f"labelled pictures need folders of pictures and a text file with a line for each: no {part.name}",
                looked_for=part,
                get_it="see the lines that baselines/clip_guided/data.py reads; --labels names another file",
            )
    pictures = {path.name: _pictures(path) for path in sorted(folder.iterdir()) if path.name[0] != "."}
    named = {name: found for name, found in pictures.items() if found}
    lines = [line for line in labels.read_text(encoding="utf-8").splitlines() if line.strip()]
    by_name = _by_name(labels, lines, list(named))
    return [(picture, name, by_name[name], ()) for name, found in named.items() for picture in found]


def _by_name(labels: Path, lines: list[str], names: list[str]) -> dict[str, str]:
    """Which label each name has. A file that mixes both forms, or that fits in number only, is refused."""
    tabs = sum("\t" in line for line in lines)
    if not lines or not names or tabs not in (0, len(lines)):
        raise CompetitionError(f"{labels}: {len(lines)} lines for {len(names)} names, {tabs} of them with a tab")
    if not tabs:
        if len(lines) != len(names):
            raise CompetitionError(
                f"{labels}: {len(lines)} labels for {len(names)} folders or pictures; give a line to each, or write "
                "the names before the labels, with a tab between"
            )
        return {name: line.strip() for name, line in zip(names, lines, strict=True)}
    pairs = [(name.strip(), label.strip()) for name, _, label in (line.partition("\t") for line in lines)]
    by_name = dict(pairs)
    problems = [Problem(name, "has no line") for name in names if name not in by_name]
    problems += [Problem(name, "is not there") for name in by_name if name not in set(names)]
    problems += [Problem(name, "has no label") for name, label in pairs if not label]
    if len(by_name) != len(pairs):
        problems.append(Problem("", "names something twice"))
    if problems:
        raise CompetitionError(f"{labels}: does not fit the pictures", problems)
    return by_name


def _pictures(path: Path) -> list[Path]:
    """Those in a folder, or the picture itself."""
    inside = sorted(path.iterdir()) if path.is_dir() else [path]
    return [file for file in inside if file.suffix.lower() in SUFFIXES and file.name[0] != "."]
