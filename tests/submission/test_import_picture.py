"""Each kind of picture becomes an image of a submission, or is refused."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hostile_inputs.case import saved
from PIL import Image, ImageCms

from submission.images import ImageProblem, read_image
from submission.import_picture import import_picture


def _picture(seed=0, size=(64, 64)):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def _deep_png(image):
    """16 bits a channel, the low byte noise."""
    pixels = np.asarray(image).astype(np.uint16) * 256 + np.random.default_rng(9).integers(0, 256, (64, 64, 3))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 64, 64, 16, 2, 0, 0, 0)
    ends = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + ends


RGB = _picture(5)
GREY = RGB.convert("L")
HALF = RGB.copy()
HALF.putalpha(Image.fromarray(np.tile(np.array([0, 255], np.uint8).repeat(32), (64, 1))))
OPAQUE = RGB.convert("RGBA")
_EXIF = Image.Exif()
_EXIF[0x0112] = 6
WHITE_LEFT = np.where(np.arange(64)[None, :, None] < 32, 255, np.asarray(RGB))


@pytest.mark.parametrize(
    ("data", "expected", "changes"),
    [
        (saved(RGB), RGB, []),
        (saved(RGB, "WEBP", lossless=True), RGB, ["WEBP saved as PNG"]),
        (saved(RGB, "BMP"), RGB, ["BMP saved as PNG"]),
        (saved(RGB, "TIFF"), RGB, ["TIFF saved as PNG"]),
        (saved(RGB, "PPM"), RGB, ["PPM saved as PNG"]),
        (saved(RGB, "JPEG"), Image.open(io.BytesIO(saved(RGB, "JPEG"))), ["JPEG saved as PNG"]),
        (saved(OPAQUE), RGB, ["an alpha channel that hides nothing dropped"]),
        (saved(HALF), WHITE_LEFT, ["transparent parts laid over white"]),
        (saved(GREY), GREY.convert("RGB"), ["greyscale made RGB"]),
        (saved(GREY.convert("LA")), GREY.convert("RGB"), ["an alpha channel that hides nothing dropped"]),
        (saved(GREY.convert("1")), GREY.convert("1").convert("RGB"), ["black and white made RGB"]),
        (saved(RGB.quantize(16)), RGB.quantize(16).convert("RGB"), ["a palette made RGB"]),
        (saved(RGB.convert("CMYK"), "TIFF"), RGB, ["CMYK made RGB", "TIFF saved as PNG"]),
        (_deep_png(RGB), RGB, ["16 bits a channel made 8"]),
        (
            saved(Image.fromarray(np.asarray(GREY).astype(np.uint16) * 256 + 77)),
            GREY.convert("RGB"),
            ["16 bits a channel made 8", "greyscale made RGB"],
        ),
        (
            saved(RGB, "TIFF", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()),
            RGB,
            ["TIFF saved as PNG", "a colour profile left out, the values as they are"],
        ),
        (saved(RGB, exif=_EXIF), RGB.transpose(Image.Transpose.ROTATE_270), ["turned as its EXIF tag says"]),
        (
            saved(RGB.resize((256, 256), Image.Resampling.BICUBIC)),
            RGB.resize((256, 256), Image.Resampling.BICUBIC).resize((64, 64), Image.Resampling.LANCZOS),
            ["resized from 256×256 to 64×64 pixels (Pillow Lanczos)"],
        ),
    ],
)
def test_each_kind_of_picture_and_what_is_said_of_it(data, expected, changes):
    imported = import_picture(data, "a.png", (64, 64), None)
    assert np.array_equal(read_image(imported.data, 64), np.asarray(expected))
    assert list(imported.changes) == changes
    assert (imported.data == data) == (not changes)


def test_other_shapes_as_they_are_asked_for():
    wide = np.zeros((64, 192, 3), np.uint8)
    wide[:, :64], wide[:, 64:128], wide[:, 128:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    data = saved(Image.fromarray(wide))
    with pytest.raises(ImageProblem, match="is 192×64 pixels, which is another shape than 64×64"):
        import_picture(data, "a.png", (64, 64), None)
    cropped = import_picture(data, "a.png", (64, 64), "crop")
    assert np.array_equal(read_image(cropped.data, 64), wide[:, 64:128])
    assert cropped.changes == ("cropped to its middle and resized from 192×64 to 64×64 pixels (Pillow Lanczos)",)
    stretched = read_image(import_picture(data, "a.png", (64, 64), "stretch").data, 64)
    assert stretched[32, 5, 0] > 250
    assert stretched[32, 60, 2] > 250
    assert import_picture(data, "a.png", None, None).data == data  # any size is allowed


@pytest.mark.parametrize(("size", "wanted"), [((42, 31), (40, 30)), ((197, 175), (299, 299)), ((683, 623), (30, 77))])
def test_a_crop_that_rounding_would_begin_before_the_picture(size, wanted):
    cropped = import_picture(saved(_picture(size=size)), "a.png", wanted, "crop")
    assert read_image(cropped.data, None).shape == (wanted[1], wanted[0], 3)


def test_names_in_jpg_get_jpeg():
    kept = saved(RGB, "JPEG", quality=80)
    assert import_picture(kept, "a.jpg", (64, 64), None).data == kept
    made = import_picture(saved(RGB), "a.jpg", (64, 64), None)
    assert made.data.startswith(b"\xff\xd8")
    assert made.changes == ("PNG saved as JPEG, which loses a little",)
    again = import_picture(saved(GREY, "JPEG"), "a.jpg", (64, 64), None)
    assert again.changes == ("greyscale made RGB", "JPEG saved as JPEG again, which loses a little")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (saved(Image.new("F", (64, 64)), "TIFF"), "values of 32 bits"),
        (saved(RGB, "WEBP")[:-100], "damaged or cut short"),
        (saved(RGB, "JPEG")[:-300], "damaged or cut short"),
        (saved(Image.new("1", (20_000, 4_000))), "has more than 67,108,864 pixels"),
        (saved(Image.new("1", (20_000, 5_000))), "has more than 67,108,864 pixels"),
        (saved(Image.new("1", (20_000, 10_000))), "has more than 67,108,864 pixels"),
        (b"<html>no</html>", "is a web page"),
        (b"", "is empty"),
    ],
)
def test_what_nobody_can_make_right_is_refused(data, said):
    with pytest.raises(ImageProblem, match=said):
        import_picture(data, "a.png", (64, 64), None)
