"""Image file names that are safe on every system, and when two of them are the same file somewhere."""

from __future__ import annotations

import unicodedata

SUFFIXES = (".png", ".jpg", ".jpeg")
# What names a picture of any kind: no id that only has a dot in it, such as img_v1.5.
PICTURE_SUFFIXES = (
    *SUFFIXES, ".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jxl", ".pgm", ".ppm", ".svg",
    ".tif", ".tiff", ".webp",
)  # fmt: skip
MAX_BYTES = 200  # most file systems allow 255; room is left for a suffix
_RESERVED = {"con", "prn", "aux", "nul", *(f"com{i}" for i in range(10)), *(f"lpt{i}" for i in range(10))}


def clash_key(name: str) -> str:
    """Equal for names that one file system or another (macOS, Windows) takes for the same file."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def with_suffix(name: str) -> str:
    """The file name of the image `name`: itself when it ends in the suffix of an image, else with `.png`."""
    return name if name.lower().endswith(PICTURE_SUFFIXES) else f"{name}.png"


def without_suffix(name: str) -> str:
    """`name` without the suffix of a picture, if it has one: `img_v1.5` has none."""
    suffix = next((suffix for suffix in PICTURE_SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def why_unsafe(name: str) -> str:
    """Why `name` cannot name an image, as the end of a sentence; "" when it can."""
    if not name:
        return "is empty"
    if not name.isprintable() and any(unicodedata.category(char)[0] == "C" or char in "\u2028\u2029" for char in name):
        return "has control or invisible characters"
    if any(char in '/\\:*?"<>|' for char in name):
        return 'has a character that is not allowed in file names (/ \\ : * ? " < > |)'
    if name.startswith((".", "-", " ", "~")):
        return f"starts with {name[0]!r}"
    if not name.lower().endswith(SUFFIXES):
        return f"does not end in {', '.join(SUFFIXES)}"
    if unicodedata.normalize("NFC", name) != name:
        return "is not in Unicode's composed form (NFC)"
    if name.split(".")[0].strip().lower() in _RESERVED:
        return "is a device name on Windows"
    if len(name.encode()) > MAX_BYTES:
        return f"is longer than {MAX_BYTES} bytes"
    return ""
