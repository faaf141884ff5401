"""The hashes of a competition's training images, in one file: a scorer knows a copied one without having the images.

A header line, then 30 bytes per distinct image (`image_hashes.code`), sorted. Nothing in it can be executed, equal
images give equal bytes, and no image can be made from it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from submission import atomic, commands
from submission.errors import CompetitionError, MissingPart, Problem
from submission.files import is_junk
from submission.image_hashes import CODE_BYTES, code
from submission.images import ImageProblem, max_file_bytes, read_image
from submission.names import SUFFIXES
from submission.progress import track
from submission.safe_read import NotReadable, read_regular

# The number is of the hashes' definition: raise it when image_hashes.code changes.
HEADER = b"drawoff image hashes 1\n"
MAX_BYTES = 2**30


def hash_folder(folder: Path, *, progress: bool = False) -> np.ndarray:
    """The sorted distinct codes (N, 30) uint8 of all PNG and JPEG files in `folder` and the folders in it.

    Raises MissingPart when there are none, CompetitionError that names every file which is not an image to score.
    """
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    # A thumbnail or a notebook's copy that a system keeps among the images is none of them.
    paths = sorted(path for path in found if not any(is_junk(part) for part in path.relative_to(folder).parts))
    if not paths:
        raise MissingPart("there are no images to hash", looked_for=folder, get_it="name the folder of training images")
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        found = list(track(pool.map(_read, paths), "hashing images", total=len(paths), show=progress))
    if problems := [item for item in found if isinstance(item, Problem)]:
        raise CompetitionError(f"{folder}: some files are not 8-bit RGB images, as submissions are", problems)
    return distinct(found)


def distinct(codes: Iterable[np.ndarray]) -> np.ndarray:
    """The codes (N, 30) uint8, each once, sorted."""
    return np.unique(np.stack(list(codes)), axis=0)


def write_hashes(path: Path, codes: np.ndarray) -> None:
    """Write the codes (N, 30) uint8, as `hash_folder` returns them."""
    atomic.write_bytes(path, HEADER + np.ascontiguousarray(codes).tobytes())


def read_hashes(path: Path) -> np.ndarray:
    """The codes (N, 30) uint8 in the file. Raises CompetitionError."""
    try:
        data = read_regular(path, MAX_BYTES, follow=True)
    except NotReadable as error:
        raise CompetitionError(f"{path}: {error}") from None
    body = data.removeprefix(HEADER)
    if len(body) == len(data) or not body or len(body) % CODE_BYTES:
        raise CompetitionError(
            f"{path}: is not a file of training hashes of this version\n"
            f"  write it again: {commands.module('submission hashes')} FOLDER --out FILE"
        )
    return np.frombuffer(body, np.uint8).reshape(-1, CODE_BYTES)


def _read(path: Path) -> np.ndarray | Problem:
    try:
        return code(read_image(read_regular(path, max_file_bytes(None), follow=True), None, grey=True))
    except (ImageProblem, NotReadable) as error:
        return Problem(path.name, str(error))
