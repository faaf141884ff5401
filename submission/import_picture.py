"""One picture as any tool saves it -> the image that a submission needs, and what had to be changed."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from submission import jpeg, png
from submission.images import MAX_RATIO, MAX_SIDE, MIN_SIDE, ImageProblem, decoding, image_bytes, read_image
from submission.tiff_tags import ORIENTATION

MAX_BYTES = 2**28
MAX_PIXELS = 2**26
FITS = ("crop", "stretch")
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")


@dataclass(frozen=True)
class Imported:
    """The bytes of the image's file, and each change in words that are the same for the same change."""

    data: bytes
    changes: tuple[str, ...]


def import_picture(data: bytes, name: str, size: tuple[int, int] | None, fit: str | None) -> Imported:
    """The picture in `data` as the image `name` of `size` (width, height; None: as it is).

    A file that is valid already keeps its bytes. `fit` says what becomes of a picture of another shape: "crop" keeps
    the largest part in its middle, "stretch" squeezes it; None leaves that question open. Raises ImageProblem.
    """
    lossless = name.lower().endswith(".png")
    if _is_valid(data, size) and data.startswith(png.SIGNATURE if lossless else jpeg.SIGNATURE):
        return Imported(data, ())
    image, kind = _opened(data)
    changes = []
    if image.getexif().get(ORIENTATION, 1) not in (0, 1):
        image = ImageOps.exif_transpose(image)
        changes.append("turned as its EXIF tag says")
    if has_profile := "icc_profile" in image.info:
        image.info.pop("icc_profile")
    if image.mode.startswith("I;16") or (kind == "PNG" and png.header(data).depth == 16):
        changes.append("16 bits a channel made 8")
    image, change = _rgb(image)
    changes += [change] if change else []
    image, change = _sized(image, size, fit)
    changes += [change] if change else []
    if kind != (wanted := "PNG" if lossless else "JPEG"):
        loss = "" if lossless else ", which loses a little"
        changes.append(f"{kind} saved as {wanted}{loss}")
    if has_profile:
        changes.append("a colour profile left out, the values as they are")
    if kind == wanted and not lossless and changes:
        changes.append("JPEG saved as JPEG again, which loses a little")
    return Imported(image_bytes(np.asarray(image), name), tuple(changes))


def _is_valid(data: bytes, size: tuple[int, int] | None) -> bool:
    square = size[0] if size is not None and size[0] == size[1] else None
    try:
        height, width = read_image(data, square).shape[:2]
    except ImageProblem:
        return False
    return size in (None, (width, height))


def _opened(data: bytes) -> tuple[Image.Image, str]:
    """The decoded picture and its format. Raises ImageProblem."""
    too_large = (f"has more than {MAX_PIXELS:,} pixels", "")
    with decoding(
        data,
        again="write or download it again",
        still="save it as one still image, with another tool",
        unknown=("is no picture that can be read", ""),
        too_large=too_large,
    ):
        if data.startswith(png.SIGNATURE):
            data = png.pixels_only(data)
        elif data.startswith(jpeg.SIGNATURE):
            jpeg.pixels_only(data)  # refuses what is broken; its profile and its turning are read below
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise ImageProblem(*too_large)
        if (frames := getattr(image, "n_frames", 1)) > 1:
            raise ImageProblem(f"has {frames} frames", "save the one that counts as a still image")
        image.load()
        return image, str(image.format)


def _rgb(image: Image.Image) -> tuple[Image.Image, str]:
    """The picture as 8-bit RGB, and what that changed."""
    if image.mode.startswith("I;16"):
        eight = (np.asarray(image, np.uint16) >> 8).astype(np.uint8)
        return Image.fromarray(eight).convert("RGB"), "greyscale made RGB"
    if image.mode in ("I", "F"):
        raise ImageProblem("has values of 32 bits, whose black and white nobody knows", "save it with 8 bits a channel")
    if image.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in image.info:
        with_alpha = image.convert("RGBA")
        if with_alpha.getchannel("A").getextrema()[0] == 255:
            return with_alpha.convert("RGB"), "an alpha channel that hides nothing dropped"
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, with_alpha).convert("RGB"), "transparent parts laid over white"
    if image.mode == "RGB":
        return image, ""
    names = {"L": "greyscale", "1": "black and white", "P": "a palette"}
    return image.convert("RGB"), f"{names.get(image.mode, image.mode)} made RGB"


def _sized(image: Image.Image, size: tuple[int, int] | None, fit: str | None) -> tuple[Image.Image, str]:
    """The picture in `size`, and what that changed."""
    width, height = image.size
    if size is None:
        short, long = sorted(image.size)
        if short < MIN_SIDE or long > min(MAX_SIDE, MAX_RATIO * short):
            limits = f"each side is {MIN_SIDE} to {MAX_SIDE} pixels, and none {MAX_RATIO} times the other"
            raise ImageProblem(f"is {width}×{height} pixels", limits)
        return image, ""
    if image.size == size:
        return image, ""
    to = f"{size[0]}×{size[1]} pixels (Pillow Lanczos)"
    if width * size[1] == height * size[0]:
        return image.resize(size, Image.Resampling.LANCZOS), f"resized from {width}×{height} to {to}"
    if fit is None:
        raise ImageProblem(
            f"is {width}×{height} pixels, which is another shape than {size[0]}×{size[1]}",
            "say --fit crop (keep the largest part in the middle) or --fit stretch (squeeze it)",
        )
    if fit == "stretch":
        return image.resize(size, Image.Resampling.LANCZOS), f"stretched from {width}×{height} to {to}"
    cropped = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    return cropped, f"cropped to its middle and resized from {width}×{height} to {to}"
