"""One image file of foreign origin -> uint8 RGB array, or the reason why not.

Pillow would take most of what is refused here, and each time silently change the picture: an alpha channel is dropped,
16 bits saturate, an animation loses all frames but one, an orientation tag is ignored.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from submission.errors import Problem

MAX_SIDE = 4096  # where the competition leaves the size free
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112  # EXIF
_SAVE_RGB = "save it with Pillow: image.convert('RGB').save(name)"
_SAVE_AGAIN = "write it again; a copy that was cut short is the usual cause"
_MODES = {
    "L": "is greyscale",
    "LA": "is greyscale with an alpha channel",
    "1": "is black and white (1 bit)",
    "P": "has a palette",
    "PA": "has a palette",
    "RGBA": "has an alpha channel (RGBA)",
    "CMYK": "is CMYK",
    "YCCK": "is CMYK",
}


class ImageProblem(ValueError):
    """Why a file is not an image to score: `what`, as the end of a sentence, and a `hint` on what to do."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what, self.hint = what, hint

    def problem(self, name: str) -> Problem:
        """The problem of the file `name`."""
        return Problem(name, self.what, self.hint)


def max_file_bytes(size: int | None) -> int:
    """The largest file accepted for an image of `size` pixels: four times its raw bytes, and never less than 1 MiB."""
    return max(2**20, 4 * 3 * (size or 2048) ** 2)


def read_image(data: bytes, size: int | None, *, grey: bool = False) -> np.ndarray:
    """Decode one PNG or JPEG to uint8 of shape (size, size, 3), or any shape (H, W, 3) when `size` is None.

    `grey` lets 8-bit greyscale pass, repeated to three channels (COCO's references have some). Raises ImageProblem.
    """
    if len(data) > max_file_bytes(size):
        raise ImageProblem(f"is a file of {len(data):,} bytes, more than {max_file_bytes(size):,}")
    if not data:
        raise ImageProblem("is empty", _SAVE_AGAIN)
    if data.startswith(_PNG_SIGNATURE):
        _check_png(data, size)
    try:
        image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
        _check_size(image.size, size)  # before any pixel is decoded
        if image.format not in ("PNG", "JPEG") or getattr(image, "n_frames", 1) > 1:
            raise ImageProblem("has more than one frame", "save one still image")
        if image.mode != "RGB" and not (grey and image.mode == "L"):
            raise ImageProblem(_MODES.get(image.mode, f"has the mode {image.mode}"), _SAVE_RGB)
        image.load()
        if "transparency" in image.info:
            raise ImageProblem("has a transparent colour", _SAVE_RGB)
        if image.getexif().get(_ORIENTATION, 1) not in (0, 1):
            raise ImageProblem(
                "is rotated by an EXIF tag", "turn it with PIL.ImageOps.exif_transpose and save it again"
            )
        return np.array(image if image.mode == "RGB" else image.convert("RGB"))
    except ImageProblem:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageProblem("has far too many pixels", _size_hint(size)) from None
    except Image.UnidentifiedImageError:
        raise ImageProblem("is neither PNG nor JPEG, whatever its name says", _SAVE_RGB) from None
    except Exception as error:  # a decoder fed with foreign bytes raises nearly anything
        raise ImageProblem(f"cannot be decoded, it is damaged or cut short ({error})", _SAVE_AGAIN) from None


def image_bytes(image: np.ndarray, name: str) -> bytes:
    """The file of a uint8 array (H, W, 3): PNG, or JPEG when `name` ends so. No time stamp and no text: equal pixels
    give equal bytes."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"an image is uint8 (H, W, 3), not {image.dtype} {image.shape}")
    picture = Image.fromarray(np.ascontiguousarray(image))
    file = io.BytesIO()
    if name.lower().endswith(".png"):
        picture.save(file, "PNG", compress_level=6)
    else:
        picture.save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()


def _size_hint(size: int | None) -> str:
    return f"save it as {size}×{size} pixels" if size else f"no side may be longer than {MAX_SIDE} pixels"


def _check_size(found: tuple[int, int], size: int | None) -> None:
    wrong = found != (size, size) if size else not (0 < found[0] <= MAX_SIDE and 0 < found[1] <= MAX_SIDE)
    if wrong:
        expected = f", expected {size}×{size}" if size else ""
        raise ImageProblem(f"is {found[0]}×{found[1]} pixels{expected}", _size_hint(size))


def _check_png(data: bytes, size: int | None) -> None:
    """What Pillow hides: 16 bits a channel (opened as RGB), a broken checksum, an end that is missing.

    Chunk layout: Portable Network Graphics Specification (Third Edition), section 5.3.
    """
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise ImageProblem("is cut short", _SAVE_AGAIN)
    width, height, depth = struct.unpack(">IIB", data[16:25])
    _check_size((width, height), size)
    if depth == 16:
        raise ImageProblem("has 16 bits per channel", "save it with 8 bits per channel")
    place = len(_PNG_SIGNATURE)
    while place + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        end = place + 12 + length
        if end > len(data):
            break
        if zlib.crc32(memoryview(data)[place + 4 : end - 4]) != struct.unpack(">I", data[end - 4 : end])[0]:
            raise ImageProblem("is damaged: a checksum in it is wrong", _SAVE_AGAIN)
        if kind == b"acTL":
            raise ImageProblem("is an animation", "save one still image")
        if kind == b"IEND":
            return
        place = end
    raise ImageProblem("is cut short", _SAVE_AGAIN)
