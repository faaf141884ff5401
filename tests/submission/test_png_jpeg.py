"""What a file holds beside its pixels is refused where decoders disagree on it, and left out where they do not."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from submission import jpeg, png
from submission.images import MAX_RATIO, ImageProblem, image_bytes, read_image


def _chunk(kind, data=b""):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _picture(size=64):
    y, x = np.mgrid[:size, :size] * 255 // size
    return np.stack([y, x, (x + y) // 2], axis=-1).astype(np.uint8)


PICTURE = _picture()
PNG = image_bytes(PICTURE, "a.png")
HEADER, END = PNG[8:33], PNG[-12:]
PIXELS = zlib.decompress(PNG[41:-16])


def _png(*chunks):
    return png.SIGNATURE + b"".join(chunks)


def _pixels(*parts):
    return [_chunk(b"IDAT", part) for part in parts]


_DEFLATED = zlib.compress(PIXELS)
_HALF = len(_DEFLATED) // 2
_TIME = _chunk(b"tIME", bytes(7))


@pytest.mark.parametrize(
    "data",
    [
        PNG + b"x",
        PNG + PNG,
        _png(HEADER, _chunk(b"tEXt", b"a\0b"), _chunk(b"tEXt", b"a\0c"), *_pixels(_DEFLATED), END),
        _png(HEADER, _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**22))), *_pixels(_DEFLATED), END),
        _png(HEADER, _chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**22))), *_pixels(_DEFLATED), END),
        _png(HEADER, _chunk(b"gAMA", struct.pack(">I", 1)), *_pixels(_DEFLATED), END),
        _png(HEADER, *_pixels(_DEFLATED[:_HALF], b"", _DEFLATED[_HALF:]), _TIME, END),
        _png(HEADER, *_pixels(zlib.compress(PIXELS, 1)), END),
        _png(HEADER, *_pixels(zlib.compress(PIXELS + bytes(10_000))), END),
    ],
)
def test_a_png_in_other_words_has_the_same_pixels(data):
    assert np.array_equal(read_image(data, 64), PICTURE)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (_png(HEADER, HEADER, *_pixels(_DEFLATED), END), "two chunks IHDR"),
        (_png(HEADER, *_pixels(_DEFLATED), HEADER, END), "two chunks IHDR"),
        (_png(HEADER, _chunk(b"CgBI", bytes(4)), *_pixels(_DEFLATED), END), "no standard PNG has"),
        (_png(_chunk(b"CgBI", bytes(4)), HEADER, *_pixels(_DEFLATED), END), "CgBI"),
        (_png(HEADER, _chunk(b"\x1b[2J", bytes(4)), *_pixels(_DEFLATED), END), "no standard PNG has"),
        (
            _png(HEADER, *_pixels(_DEFLATED[:_HALF]), _chunk(b"tIME", bytes(7)), *_pixels(_DEFLATED[_HALF:]), END),
            "piece",
        ),
        (_png(HEADER, *_pixels(_DEFLATED)), "cut short"),
        (_png(HEADER, *_pixels(_DEFLATED[:_HALF]), END), "damaged or cut short"),
        (_png(HEADER, END), "damaged or cut short"),
        (_png(HEADER, *_pixels(zlib.compress(PIXELS[: len(PIXELS) // 2])), END), "cut short"),
        (_png(HEADER, *_pixels(zlib.compress(PIXELS[: -64 * 3])), END), "cut short"),
        (_png(HEADER, *[_chunk(b"tEXt")] * 1500, *_pixels(_DEFLATED), END), "more than 1,000 chunks"),
        (_png(HEADER, *[_chunk(b"IDAT")] * 1500, *_pixels(_DEFLATED), END), "more than 1,000 chunks"),
    ],
)
def test_a_png_that_decoders_disagree_on_is_refused(data, said):
    with pytest.raises(ImageProblem) as caught:
        read_image(data, 64)
    assert said in caught.value.what


_KINDS = [
    {},
    {"progressive": True},
    {"restart_marker_blocks": 3},
    {"progressive": True, "restart_marker_rows": 1},
    {"quality": 100, "subsampling": 0},
]


def _jpeg(size=64, **options):
    file = io.BytesIO()
    Image.fromarray(_picture(size)).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("options", _KINDS)
@pytest.mark.parametrize("size", [16, 64, 100])
def test_a_whole_jpeg_is_read_and_a_cut_one_with_an_end_is_not(options, size):
    data = _jpeg(size, **options)
    assert np.array_equal(read_image(data, size), np.asarray(Image.open(io.BytesIO(data))))
    assert np.array_equal(read_image(data + b"trailing" * 10, size), np.asarray(Image.open(io.BytesIO(data))))
    start, end = jpeg.pixels_only(data)[1][-1]
    for part in (0.2, 0.5, 0.8):
        cut = data[: start + int((end - start) * part)].rstrip(b"\xff") + b"\xff\xd9"
        assert np.asarray(Image.open(io.BytesIO(cut))).shape == (size, size, 3)  # Pillow says nothing
        with pytest.raises(ImageProblem, match="damaged or cut short"):
            read_image(cut, size)


def test_scans_and_segments_are_bounded():
    data = _jpeg(64, progressive=True)
    start = data.rindex(b"\xff\xda")
    again = data[start:-2]
    with pytest.raises(ImageProblem, match="more than 32 scans"):
        read_image(data[:-2] + again * 40 + b"\xff\xd9", 64)
    comment = b"\xff\xfe\x00\x02"
    with pytest.raises(ImageProblem, match="more than 1,000 segments"):
        read_image(data[:2] + comment * 3000 + data[2:], 64)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "MPO"])
def test_the_tags_of_a_file_are_read_as_pillow_reads_them(kind, order):
    picture = Image.new("RGB", (64, 64), "red")
    for orientation in range(9):
        exif = Image.Exif()
        exif.endian = order
        exif[0x010F], exif[0x0112], exif[0x0131], exif[0x8769] = "a maker", orientation, "a program", {0x0112: 8}
        file = io.BytesIO()
        picture.save(file, kind, exif=exif, **({"save_all": True, "append_images": [picture]} if kind == "MPO" else {}))
        read = Image.open(file)
        assert read.getexif().get(0x0112) == orientation
        if kind == "MPO":
            with pytest.raises(ImageProblem, match="more than one frame"):
                read_image(file.getvalue(), 64)
        elif orientation in (0, 1):
            assert np.array_equal(read_image(file.getvalue(), 64), np.asarray(read))
        else:
            with pytest.raises(ImageProblem, match="rotated"):
                read_image(file.getvalue(), 64)


def test_two_headers_and_rare_kinds_are_refused():
    data = _jpeg()
    start = data.index(b"\xff\xc0")
    header = data[start : start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")]
    with pytest.raises(ImageProblem, match="two headers"):
        read_image(data[:start] + header + data[start:], 64)
    with pytest.raises(ImageProblem, match="rare kind"):
        read_image(data[: start + 1] + b"\xc9" + data[start + 2 :], 64)


@pytest.mark.parametrize("shape", [(1, 4096), (4096, 1), (4, 4), (8, 8 * MAX_RATIO + 1), (4097, 4096)])
def test_strips_and_specks_are_refused_where_the_size_is_free(shape):
    with pytest.raises(ImageProblem, match="pixels") as caught:
        read_image(image_bytes(np.zeros((*shape, 3), np.uint8), "a.png"), None)
    assert "each side is 8 to 4096 pixels long" in caught.value.hint
    assert read_image(image_bytes(np.zeros((8, 8 * MAX_RATIO, 3), np.uint8), "a.png"), None).shape[0] == 8
