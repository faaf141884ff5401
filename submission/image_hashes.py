"""Hashes that know a picture again: by its pixels, to the bit, and by its look, after small changes.

The look is a DCT hash (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2)
made for small pictures: the signs of the lowest frequencies of three channels, because two sprites on white may differ
in nothing but their colours. A resize leaves low frequencies as they are, so it needs none of its own. All sums are of
whole numbers that float64 holds exactly: equal pixels give equal hashes on every machine.

The file of a competition's training hashes, by which a scorer knows a copied image without having the images: a header
line, then 30 bytes per distinct image (`code`), sorted. Nothing in it can be executed, equal images give equal bytes,
and no image can be made from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from submission import atomic, commands
from submission.errors import CompetitionError, MissingPart, Problem
from submission.files import is_junk
from submission.hashes import pixel_sha256
from submission.image_names import SUFFIXES
from submission.images import max_file_bytes, read_image
from submission.progress import in_threads
from submission.safe_read import NotReadable, read_of_host, read_regular

PIXEL_BYTES = 6  # of the SHA-256: among 10^5 x 10^5 pairs, 4 in 10^5 chance of one false match
LOOK_BYTES = 24
VARIANTS = 18  # in the place it has and one pixel away in each direction, as it is and mirrored
CODE_BYTES = PIXEL_BYTES + LOOK_BYTES
QUERY_BYTES = PIXEL_BYTES + VARIANTS * LOOK_BYTES
# Looks that differ in so many bits or fewer are one picture. Measured on the bestiary: noise of ±2, JPEG 90, ±3 of
# brightness and resizing by 0.75 change at most 6 of 192 bits in 99 % of pictures (JPEG 75: in 90 %); from each
# reference, the nearest of 22,103 training images of other monsters differs in 14 or more.
RADIUS = 6

_SIDE = 64  # larger images are averaged down to less than twice this
_SCALE = 4096  # of the cosines, which are rounded to whole numbers
_FREQUENCIES = {0: 16, 1: 7, 2: 7}  # channel -> frequencies u + v below this: 136 + 28 + 28 bits
_ORDER = [(c, u, v) for c, n in _FREQUENCIES.items() for u in range(n) for v in range(n - u)]
# Bits that belong together are spread over the bytes: a search goes by pieces, which should differ between pictures.
_C, _U, _V = (np.array(column) for column in zip(*(_ORDER[i * 37 % len(_ORDER)] for i in range(192)), strict=True))
TURNING = _V % 2 == 1  # the bits of a look, (192,) bool, that turn over when the picture is mirrored
_FLAT = 4.0  # of 255: a picture whose brightness and colours vary less, as a standard deviation, has no look


def pixel_hash(image: np.ndarray) -> np.ndarray:
    """The first six bytes (uint8) of `pixel_sha256`."""
    return np.frombuffer(bytes.fromhex(pixel_sha256(image))[:PIXEL_BYTES], np.uint8)


def code(image: np.ndarray) -> np.ndarray:
    """What is kept of a picture to know it again: its pixel hash and its look, (30,) uint8."""
    return np.concatenate([pixel_hash(image), _looks(image, shift=0)[0]])


def query(image: np.ndarray) -> np.ndarray:
    """What of a picture is compared with such codes: its pixel hash and its look in 18 variants, (438,) uint8.

    The first variant is the picture itself. One without structure has no look: zeros, which match nothing.
    """
    return np.concatenate([pixel_hash(image), _looks(image, shift=1).ravel()])


def split(queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pixel hashes (N, 6) and the looks (N, 18, 24) in queries (N, 438)."""
    return queries[:, :PIXEL_BYTES], queries[:, PIXEL_BYTES:].reshape(len(queries), VARIANTS, LOOK_BYTES)


def _looks(image: np.ndarray, shift: int) -> np.ndarray:
    factor = min(image.shape[:2]) // _SIDE
    if factor > 1:
        image = np.asarray(Image.fromarray(image).reduce(factor))
    # Whole numbers: luma as (R + 2G + B) and two differences of colours.
    red, green, blue = np.moveaxis(np.pad(image, ((shift, shift), (shift, shift), (0, 0)), "edge"), 2, 0).astype(float)
    channels = np.stack([red + 2 * green + blue - 510, red - blue, 2 * green - red - blue])
    if channels.reshape(3, -1).std(axis=1).max() <= 4 * _FLAT:
        return np.zeros((2 * (2 * shift + 1) ** 2, LOOK_BYTES), np.uint8)
    rows, columns = _cosines(image.shape[0], shift), _cosines(image.shape[1], shift)
    spectrum = rows @ channels[:, None]  # channel, place, u, x
    spectrum = spectrum[:, :, None] @ columns.swapaxes(1, 2)  # channel, place, place, u, v
    places = spectrum[_C, :, :, _U, _V].reshape(len(_C), -1).T
    mirrored = np.where(TURNING, -places, places)
    middle = len(places) // 2
    order = [middle, *(i for i in range(len(places)) if i != middle)]
    return np.packbits(np.concatenate([places[order] > 0, mirrored[order] > 0]), axis=1)


@lru_cache(maxsize=64)
def _cosines(side: int, shift: int) -> np.ndarray:
    """The DCT-II's 16 lowest cosines over `side` pixels, in each place of a frame of `shift` pixels around them."""
    u, i = np.arange(max(_FREQUENCIES.values()))[:, None], np.arange(side)[None]
    cosines = np.rint(_SCALE * np.cos(np.pi * u * (2 * i + 1) / (2 * side)))
    return np.stack([np.pad(cosines, ((0, 0), (place, 2 * shift - place))) for place in range(2 * shift + 1)])


# The number is of the hashes' definition: raise it when `code` changes.
HEADER = b"drawoff image hashes 1\n"
MAX_BYTES = 2**30


def hash_folder(folder: Path, *, progress: bool = False) -> np.ndarray:
    """The sorted distinct codes (N, 30) uint8 of all PNG and JPEG files in `folder` and the folders in it.

    Raises MissingPart when there are none, CompetitionError that names every file which is not an image to score.
    """
    images = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    # A thumbnail or a notebook's copy that a system keeps among the images is none of them.
    paths = sorted(path for path in images if not any(is_junk(part) for part in path.relative_to(folder).parts))
    if not paths:
        raise MissingPart("there are no images to hash", looked_for=folder, get_it="name the folder of training images")
    found = in_threads(_read, paths, "hashing images", show=progress)
    if problems := [item for item in found if isinstance(item, Problem)]:
        raise CompetitionError(f"{folder}: some files are not 8-bit RGB images, as submissions are", problems)
    return distinct(item for item in found if not isinstance(item, Problem))


def distinct(codes: Iterable[np.ndarray]) -> np.ndarray:
    """The codes (N, 30) uint8, each once, sorted."""
    return np.unique(np.stack(list(codes)), axis=0)


def write_hashes(path: Path, codes: np.ndarray) -> None:
    """Write the codes (N, 30) uint8, as `hash_folder` returns them."""
    atomic.write_bytes(path, HEADER + np.ascontiguousarray(codes).tobytes())


def read_hashes(path: Path) -> np.ndarray:
    """The codes (N, 30) uint8 in the file. Raises CompetitionError."""
    data = read_of_host(path, MAX_BYTES)
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
    except NotReadable as error:
        return Problem(path.name, str(error))
