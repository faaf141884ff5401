"""The training pictures and captions of a competition as tensors in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from baselines.training_data import read_training_data
from submission.progress import track


@dataclass(frozen=True)
class Pictures:
    """`images`: uint8 (N, 3, H, W); `captions[entry[i]]` are the captions of image i."""

    images: Tensor
    entry: Tensor
    captions: list[list[str]]


def load_pictures(folder: Path) -> Pictures:
    """All training pictures of a data folder (train_info.json and train/), decoded."""
    entries = read_training_data(folder)
    paths = [(number, path) for number, entry in enumerate(entries) for path in entry.frames]
    images = [np.asarray(Image.open(path).convert("RGB")) for _, path in track(paths, "reading pictures")]
    return Pictures(
        torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(),
        torch.tensor([number for number, _ in paths]),
        [list(entry.captions) for entry in entries],
    )
