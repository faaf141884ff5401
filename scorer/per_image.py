"""The per-image CSV: one row per image in prompt order, for finding the images that pull a score down."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence

from submission import atomic


def write_per_image(path: str | os.PathLike[str], names: Sequence[str], columns: Mapping[str, Sequence[float]]) -> None:
    """Write `image_name` and the columns (six decimals at most; attributes from 0 to 1) to `path`, atomically."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image_name", *columns])
    for name, *values in zip(names, *columns.values(), strict=True):
        writer.writerow([name, *(f"{value:.6f}".rstrip("0").rstrip(".") for value in values)])
    atomic.write_text(path, text.getvalue())
