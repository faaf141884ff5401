"""One case, and the honest competition and submission that all of them begin with."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image
from tiny_competition import SIDE, picture, toml

NAMES = [f"{index}_main.png" for index in range(8)]
FIRST = NAMES[0]
TOML = toml(marks={"fid": 90.0}, references="references", image_size=SIDE)


@dataclass(frozen=True)
class Case:
    """`make(root)` changes the honest competition `root/tiny` and submission `root/drawn`, and returns the words of the
    command; None: `submission validate` of that folder. `code` is the exit code, `said` a part of what is printed."""

    kind: str
    name: str
    make: Callable[[Path], list[str] | None]
    code: int
    said: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


def validate(target: Path, root: Path) -> list[str]:
    """The words that validate `target` for the competition in `root`."""
    return ["submission", "validate", str(target), "--competition", str(root / "tiny")]


def saved(image: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The file of an image."""
    file = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(file, kind, **options)
    return file.getvalue()


@lru_cache
def _file(seed: int) -> bytes:
    return saved(picture(seed))


def competition(root: Path) -> Path:
    """The competition, written to `root/tiny`."""
    folder = root / "tiny"
    (folder / "references").mkdir(parents=True)
    entries = {}
    for index, name in enumerate(NAMES):
        entries[name[:-4]] = {"image_name": name, "text_prompt": f"a slime, number {index}"}
        (folder / "references" / name).write_bytes(_file(index))
    (folder / "test.json").write_text(json.dumps(entries), encoding="utf-8")
    (folder / "competition.toml").write_text(TOML, encoding="utf-8")
    return folder


def honest(root: Path) -> Path:
    """A valid submission to it without a manifest, written to `root/drawn`."""
    folder = root / "drawn"
    folder.mkdir()
    for index, name in enumerate(NAMES):
        (folder / name).write_bytes(_file(100 + index))
    return folder
