"""What the scorer would silently get wrong is refused; what it may trust is decoded as Pillow decodes it."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from submission.images import ImageProblem, image_bytes, read_image

RED = Image.new("RGB", (64, 64), (200, 30, 40))


def _saved(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _header(width, height, depth=8, colour=2):
    ihdr = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", ihdr)


def _deep_png():
    """16 bits a channel, colour type 2: Pillow has no writer for it, and reads it as if it were 8 bits."""
    rows = (b"\0" + b"\x80\x01" * 3 * 64) * 64
    return _header(64, 64, depth=16) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _rotated():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes()


def _noise(seed=0, size=64):
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def test_pixels_survive():
    image = _noise()
    assert np.array_equal(read_image(image_bytes(image, "a.png"), 64), image)


def test_jpeg_is_decoded_as_pillow_does():
    data = _saved(Image.fromarray(_noise()), "JPEG", quality=90)
    expected = np.asarray(Image.open(io.BytesIO(data)))
    assert np.array_equal(read_image(data, 64), expected)


def test_equal_pixels_give_equal_bytes():
    assert image_bytes(_noise(), "a.png") == image_bytes(_noise().copy(order="F"), "a.png")
    assert image_bytes(_noise(), "a.jpg").startswith(b"\xff\xd8")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"hello", "neither PNG nor JPEG"),
        (_saved(RED, "GIF"), "neither PNG nor JPEG"),
        (_saved(RED, "WEBP"), "neither PNG nor JPEG"),
        (_saved(RED.resize((32, 64))), "32×64 pixels, expected 64×64"),
        (_saved(RED.convert("L")), "greyscale"),
        (_saved(RED.convert("L"), "JPEG"), "greyscale"),
        (_saved(RED.convert("LA")), "alpha"),
        (_saved(RED.convert("1")), "black and white"),
        (_saved(RED.convert("RGBA")), "alpha channel (RGBA)"),
        (_saved(RED.convert("P")), "palette"),
        (_saved(RED.convert("CMYK"), "JPEG"), "CMYK"),
        (_saved(Image.fromarray(np.full((64, 64), 32768, np.uint16))), "16 bits"),
        (_deep_png(), "16 bits"),
        (_saved(RED, transparency=(200, 30, 40)), "transparent colour"),
        (_saved(RED, save_all=True, append_images=[RED.rotate(90), Image.new("RGB", (64, 64))]), "animation"),
        (_saved(RED, exif=_rotated()), "EXIF"),
        (_saved(RED, "JPEG", exif=_rotated()), "EXIF"),
        (_saved(RED, "JPEG")[:-300], "damaged or cut short"),
        (_header(20_000, 20_000), "20000×20000 pixels"),
        (_header(64, 64) + _chunk(b"IEND", b""), "damaged or cut short"),
        (image_bytes(_noise(), "a.png") + bytes(2**20), "a file of"),
    ],
)
def test_refused(data, said):
    with pytest.raises(ImageProblem) as caught:
        read_image(data, 64)
    assert said in caught.value.what
    assert caught.value.problem("a.png").name == "a.png"


def test_multi_picture_jpeg_is_refused():
    with pytest.raises(ImageProblem, match="more than one frame"):
        read_image(_saved(RED, "MPO", save_all=True, append_images=[RED.rotate(90)]), 64)


@pytest.mark.parametrize("side", [5_000, 12_000, 20_000])
def test_huge_headers_are_refused_where_the_size_is_free(side):
    with pytest.raises(ImageProblem, match=f"{side}×{side} pixels"):
        read_image(_header(side, side), None)


def test_huge_jpeg_headers_are_refused():
    data = bytearray(_saved(RED, "JPEG"))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", 60_000, 60_000)
    for size in (64, None):
        with pytest.raises(ImageProblem, match="pixels"):
            read_image(bytes(data), size)


def test_any_size_where_the_competition_leaves_it_free():
    assert read_image(_saved(RED.resize((33, 20))), None).shape == (20, 33, 3)


def test_a_png_cut_anywhere_is_refused():
    data = image_bytes(_noise(size=16), "a.png")
    for length in range(len(data)):
        with pytest.raises(ImageProblem):
            read_image(data[:length], 16)


def test_a_flipped_bit_never_changes_the_picture():
    image = _noise(size=16)
    data = image_bytes(image, "a.png")
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0x10
        with pytest.raises(ImageProblem):
            read_image(bytes(damaged), 16)


def test_what_follows_the_end_of_a_png_is_ignored():
    assert np.array_equal(read_image(image_bytes(_noise(), "a.png") + b"PK\x05\x06" + bytes(18), 64), _noise())


def test_greyscale_passes_only_where_asked_for():
    grey = _saved(RED.convert("L"))
    assert read_image(grey, 64, grey=True).shape == (64, 64, 3)
    with pytest.raises(ImageProblem):
        read_image(_saved(RED.convert("RGBA")), 64, grey=True)


def test_random_bytes_never_raise_anything_else():
    rng = np.random.default_rng(5)
    png, jpeg = image_bytes(_noise(), "a.png"), image_bytes(_noise(), "a.jpg")
    for data in (png, jpeg):
        for _ in range(200):
            damaged = bytearray(data)
            for place in rng.integers(0, len(damaged), 8):
                damaged[place] = rng.integers(0, 256)
            try:
                assert read_image(bytes(damaged), 64).shape == (64, 64, 3)
            except ImageProblem:
                continue
