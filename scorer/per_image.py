"""The per-image CSV: one row per image in prompt order, for finding the images that pull a score down."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from submission import atomic
from submission.csv_text import as_cell, csv_line


def write_per_image(
    path: str | os.PathLike[str], names: Sequence[str], prompts: Sequence[str], columns: Mapping[str, Sequence[float]]
) -> None:
    """Write `image_name`, `prompt` and the columns to `path`, atomically: six decimals at most, attributes from 0 to 1.

    What a spreadsheet would run as a formula gets a quote sign before it.
    """
    lines = [csv_line(["image_name", "prompt", *columns])]
    for name, prompt, *values in zip(names, prompts, *columns.values(), strict=True):
        numbers = [f"{value:.6f}".rstrip("0").rstrip(".") for value in values]
        lines.append(csv_line([as_cell(name), as_cell(prompt), *numbers]))
    atomic.write_bytes(path, b"".join(lines))
