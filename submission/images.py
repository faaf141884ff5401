"""One image file of foreign origin -> uint8 RGB array, or the reason why not.

Pillow would take most of what is refused here, and each time silently change the picture: an alpha channel is dropped,
16 bits saturate, an animation loses all frames but one, an orientation tag is ignored.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterator

import numpy as np
from PIL import Image, UnidentifiedImageError

from submission import commands, jpeg, png, tiff_tags
from submission.errors import shown
from submission.safe_read import NotReadable

# Where the competition leaves the size free.
MAX_SIDE = 4096
MIN_SIDE = 8  # the smallest `image_size`
MAX_RATIO = 16  # of the sides: networks look at a square
_SAVE_RGB = "save it with Pillow: image.convert('RGB').save(name)"
_SAVE_AGAIN = "write it again; a copy that was cut short is the usual cause"
_SAVE_STILL = "save one still image with Pillow: image.convert('RGB').save(name)"
_TURN = "turn it with PIL.ImageOps.exif_transpose and save it again"
_MODES = {
    "L": "is greyscale",
    "LA": "is greyscale with an alpha channel",
    "1": "is black and white (1 bit)",
    "P": "has a palette",
    "RGBA": "has an alpha channel (RGBA)",
    "CMYK": "is CMYK",
}


class ImageProblem(NotReadable):
    """Why a file is not an image to score."""


def max_file_bytes(size: int | None) -> int:
    """The largest file accepted for an image of `size` pixels: four times its raw bytes, and never less than 1 MiB."""
    return max(2**20, 4 * 3 * (size or 2048) ** 2)


def read_image(data: bytes, size: int | None, *, grey: bool = False) -> np.ndarray:
    """Decode one PNG or JPEG to uint8 of shape (size, size, 3), or any shape (H, W, 3) when `size` is None.

    `grey` lets 8-bit greyscale pass, repeated to three channels (COCO's references have some). Raises ImageProblem.
    """
    if len(data) > max_file_bytes(size):
        raise ImageProblem(f"is a file of {len(data):,} bytes, more than {max_file_bytes(size):,}")
    is_jpeg = data.startswith(jpeg.SIGNATURE)
    unknown = ("is neither PNG nor JPEG, whatever its name says", _SAVE_RGB)
    too_large = ("has far too many pixels", _size_hint(size))
    with decoding(data, again=_SAVE_AGAIN, still=_SAVE_STILL, unknown=unknown, too_large=too_large):
        if data.startswith(png.SIGNATURE):
            data = _checked_png(data, size)
        elif is_jpeg:
            data, scans, turned = jpeg.pixels_only(data)
        image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
        _check_size(image.size, size)  # before any pixel is decoded
        if image.mode != "RGB" and not (grey and image.mode == "L"):
            raise ImageProblem(_MODES.get(image.mode, f"has the mode {image.mode}"), _SAVE_RGB)
        image.load()
        if "transparency" in image.info:
            raise ImageProblem("has a transparent colour", _SAVE_RGB)
        if not is_jpeg:
            exif = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
            turned = tiff_tags.number(exif, tiff_tags.ORIENTATION, 1)
        if turned not in (0, 1):
            raise ImageProblem("is rotated by an EXIF tag", _TURN)
        if is_jpeg:
            others = (Image.open(io.BytesIO(probe), formats=("JPEG",)) for probe in jpeg.probes(data, scans))
            whole = all(other.tobytes() == image.tobytes() for other in others)
        array = np.array(image if image.mode == "RGB" else image.convert("RGB"))
        if not is_jpeg:  # a row that is black may be one that is missing; interlaced, one of two is of the last pass
            whole = bool(array[-2:].any(axis=(1, 2)).all()) or png.holds_all_pixels(data)
        if not whole:
            raise ImageProblem("is damaged or cut short: it ends before its last pixels", _SAVE_AGAIN)
        return array


@contextlib.contextmanager
def decoding(
    data: bytes, *, again: str, still: str, unknown: tuple[str, str], too_large: tuple[str, str]
) -> Iterator[None]:
    """Raises ImageProblem for whatever is raised while `data` is decoded. `again` and `still` say what to do with a
    damaged file and with more than one still image, the other two what is wrong as well."""
    try:
        yield
    except ImageProblem:
        raise
    except NotReadable as error:
        broken = "damaged" in error.what or "cut short" in error.what
        raise ImageProblem(error.what, again if broken else still) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageProblem(*too_large) from None
    except UnidentifiedImageError:
        raise ImageProblem(*(other_kind(data) or unknown)) from None
    except Exception as error:  # a decoder fed with foreign bytes raises nearly anything
        raise ImageProblem(f"cannot be decoded, it is damaged or cut short ({error})", again) from None


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
    if size:
        return f"save it as {size}×{size} pixels"
    return f"each side is {MIN_SIDE} to {MAX_SIDE} pixels long, and none {MAX_RATIO} times as long as the other"


def _check_size(found: tuple[int, int], size: int | None) -> None:
    short, long = sorted(found)
    fits = short == long == size if size else short >= MIN_SIDE and long <= min(MAX_SIDE, MAX_RATIO * short)
    if not fits:
        expected = f", expected {size}×{size}" if size else ""
        raise ImageProblem(f"is {found[0]}×{found[1]} pixels{expected}", _size_hint(size))


def _checked_png(data: bytes, size: int | None) -> bytes:
    """What of a PNG decides its pixels. Pillow would hide 16 bits a channel. Raises NotReadable."""
    if data[12:16] == b"CgBI":
        raise ImageProblem("is a PNG as Apple packs it into apps (CgBI), which nothing else reads", _SAVE_RGB)
    header = png.header(data)
    _check_size((header.width, header.height), size)
    if header.depth == 16:
        raise ImageProblem("has 16 bits per channel", "save it with 8 bits per channel")
    return png.pixels_only(data)


_PICTURES = {  # how their files begin
    "GIF": rb"GIF8",
    "WebP": rb".{8}WEBP",
    "BMP": rb"BM",
    "TIFF": rb"II\*\0|MM\0\*",
    "JPEG 2000": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "AVIF": rb".{4}ftypavif",
    "HEIC": rb".{4}ftyp(heic|heix|mif1)",
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "Photoshop's own format": rb"8BPS",
    "QOI": rb"qoif",
    "OpenEXR": rb"v/1\x01",
    "DDS": rb"DDS ",
    "PPM": rb"P[1-7][\n\r\t ]",
}
_OTHERS = (
    (b"\x93NUMPY", "a numpy array"),
    (b"PK\x03\x04", "a zip"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a gzip file"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x89HDF", "an HDF5 file"),
    (b"bplist", "a property list of macOS"),
)
_SAVE = (
    "save it with Pillow: image.convert('RGB').save(name);"
    f" `{commands.module('submission import')}` does it for a whole folder"
)
_AGAIN = "download it again, signed in where that is asked for; a page that says why came instead"


def other_kind(data: bytes) -> tuple[str, str] | None:
    """What `data`, no PNG and no JPEG, is, as the end of a sentence, and what to do; None when that is not known."""
    for name, beginning in _PICTURES.items():
        if re.match(beginning, data, re.DOTALL):
            return f"is neither PNG nor JPEG but {name}, whatever its name says", _SAVE
    for magic, name in _OTHERS:
        if data.startswith(magic):
            return f"is {name}, not an image", "put the image itself there"
    if not data:
        return "is empty", _SAVE_AGAIN
    if not data.strip(b"\0"):
        return "holds nothing but zero bytes", "write it again; a full disk or a crash is the usual cause"
    return _text_kind(data)


def _text_kind(data: bytes) -> tuple[str, str] | None:
    head = data[:1000]
    try:
        text = head.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # not only a character that the cut went through
            return None
        text = head[: error.start].decode("utf-8-sig").strip()
    start = text.lower()
    if start.startswith("version https://git-lfs"):
        return "is a git-lfs pointer, not the image", "bring the images here: git lfs pull"
    if start.startswith(("/annex/objects/", "../.git/annex/", "../../.git/annex/", ".git/annex/")):
        return "is a git-annex pointer, not the image", "bring the images here: git annex get"
    if "<svg" in start:
        return "is an SVG drawing, not pixels", "draw it as a PNG"
    if start.startswith(("<!doctype html", "<html", "<head", "<body")) or "<html" in start:
        return "is a web page, not an image", _AGAIN
    if start.startswith("<?xml"):
        return "is an XML document, not an image", _AGAIN
    if start.startswith(("{", "[")):
        with contextlib.suppress(ValueError, RecursionError):
            json.loads(data[: 2**16])
            return "is JSON, not an image", _AGAIN
    if text and all(char.isprintable() or char in "\n\r\t" for char in text):
        begins = shown(text.splitlines()[0], 60)
        return f"is neither PNG nor JPEG but text that begins {begins!r}", "put the image itself there"
    return None
