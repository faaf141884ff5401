"""What a file that should be an image is instead, told from its first bytes: a pointer, a web page, another format."""

from __future__ import annotations

import json

from submission import commands
from submission.errors import shown

_PICTURES = (
    (b"GIF8", 0, "GIF"),
    (b"WEBP", 8, "WebP"),
    (b"BM", 0, "BMP"),
    (b"II*\0", 0, "TIFF"),
    (b"MM\0*", 0, "TIFF"),
    (b"\0\0\0\x0cjP  ", 0, "JPEG 2000"),
    (b"\xff\x4f\xff\x51", 0, "JPEG 2000"),
    (b"ftypavif", 4, "AVIF"),
    (b"ftypheic", 4, "HEIC"),
    (b"ftypheix", 4, "HEIC"),
    (b"ftypmif1", 4, "HEIC"),
    (b"\xff\x0a", 0, "JPEG XL"),
    (b"\0\0\0\x0cJXL ", 0, "JPEG XL"),
    (b"8BPS", 0, "Photoshop's own format"),
    (b"qoif", 0, "QOI"),
    (b"v/1\x01", 0, "OpenEXR"),
    (b"DDS ", 0, "DDS"),
    *((f"P{digit}{blank}".encode(), 0, "PPM") for digit in range(1, 8) for blank in "\n\r\t "),
)
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
    for magic, place, name in _PICTURES:
        if data[place : place + len(magic)] == magic:
            return f"is neither PNG nor JPEG but {name}, whatever its name says", _SAVE
    for magic, name in _OTHERS:
        if data.startswith(magic):
            return f"is {name}, not an image", "put the image itself there"
    if not data:
        return "is empty", "write it again; a copy that was cut short is the usual cause"
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
    if start.startswith(("{", "[")) and _is_json(data):
        return "is JSON, not an image", _AGAIN
    if text and all(char.isprintable() or char in "\n\r\t" for char in text):
        begins = shown(text.splitlines()[0], 60)
        return f"is neither PNG nor JPEG but text that begins {begins!r}", "put the image itself there"
    return None


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data[: 2**16])
    except (ValueError, RecursionError):
        return False
    return True
