"""Image files: damaged, disguised, ambiguous, or made to cost time and memory."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tiny_competition import SIDE, picture

from hostile_inputs.case import FIRST, Case, saved

PICTURE = picture(100)
PNG = saved(PICTURE)
JPEG = saved(PICTURE, "JPEG")
PROGRESSIVE = saved(PICTURE, "JPEG", progressive=True)
SIGNATURE = PNG[:8]
END = PNG[-12:]
ROWS = b"".join(b"\0" + row.tobytes() for row in PICTURE)
MIB = 2**20


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    """A PNG chunk with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width: int = SIDE, height: int = SIDE, depth: int = 8, colour: int = 2, *rest: int) -> bytes:
    """A PNG's IHDR."""
    return chunk(b"IHDR", struct.pack(">IIBB3B", width, height, depth, colour, *(rest or (0, 0, 0))))


def png(*chunks: bytes, head: bytes | None = None, pixels: bytes | None = None, end: bytes = END) -> bytes:
    """A PNG with more chunks before its pixels."""
    body = chunk(b"IDAT", zlib.compress(ROWS) if pixels is None else pixels)
    return SIGNATURE + (header() if head is None else head) + b"".join(chunks) + body + end


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def _tags(count: int) -> bytes:
    """EXIF with so many tags, none of them known."""
    return b"MM\0*\0\0\0\x08" + struct.pack(">H", count) + struct.pack(">HHII", 0xC000, 4, 1, 0) * count + bytes(4)


def _segments(kind: int, start: bytes, data: bytes) -> bytes:
    """A JPEG that begins with this data, in as many segments as it takes."""
    pieces = [start + data[place : place + 60_000] for place in range(0, len(data), 60_000)]
    return JPEG[:2] + b"".join(struct.pack(">BBH", 0xFF, kind, len(piece) + 2) + piece for piece in pieces) + JPEG[2:]


def _text(count: int, size: int) -> bytes:
    info = PngInfo()
    for number in range(count):
        info.add_text(f"key {number}", "x" * size, zip=True)
    return saved(PICTURE, pnginfo=info)


def _interlaced(part: float = 1.0) -> bytes:
    """Adam7, written by hand: Pillow reads it and writes none."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    rows = b"".join(
        b"\0" + row.tobytes() for left, top, across, down in passes for row in PICTURE[top::down, left::across]
    )
    return png(head=header(SIDE, SIDE, 8, 2, 0, 0, 1), pixels=zlib.compress(rows[: int(len(rows) * part)]))


def _jpeg_cut(data: bytes, part: float) -> bytes:
    start = data.rindex(b"\xff\xda") + 12
    return data[: start + int((len(data) - start) * part)].rstrip(b"\xff") + b"\xff\xd9"


def _scans(count: int) -> bytes:
    start = PROGRESSIVE.rindex(b"\xff\xda")
    return PROGRESSIVE[:-2] + PROGRESSIVE[start:-2] * count + b"\xff\xd9"


_SOF = JPEG.index(b"\xff\xc0")
_SOF_SEGMENT = JPEG[_SOF : _SOF + 19]
_FRAMES = [Image.fromarray(picture(seed)) for seed in (1, 2)]
_NOT_PNG_OR_JPEG = "neither PNG nor JPEG"
_DEEP = np.random.default_rng(0).integers(0, 65536, (SIDE, SIDE), dtype=np.uint16)

# name -> the file, what is said about it ("" where it is valid)
FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "one byte": (b"\x89", _NOT_PNG_OR_JPEG),
    "text": (b"hello\n" * 100, _NOT_PNG_OR_JPEG),
    "zeros": (bytes(10_000), ""),
    "git-lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1\n", "lfs"),
    "web page": (b"<!DOCTYPE html><html><body>403 Forbidden</body></html>", ""),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', ""),
    "pickle": (b"\x80\x04\x95\x1c\0\0\0\0\0\0\0\x8c\x02os\x94\x8c\x06system\x94\x93\x94.", _NOT_PNG_OR_JPEG),
    "npy": (b"\x93NUMPY\x01\0v\0{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", ""),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n(%pipe%id) (r) file\n", _NOT_PNG_OR_JPEG),
    "gif": (saved(PICTURE, "GIF"), _NOT_PNG_OR_JPEG),
    "webp": (saved(PICTURE, "WEBP"), _NOT_PNG_OR_JPEG),
    "bmp": (saved(PICTURE, "BMP"), _NOT_PNG_OR_JPEG),
    "tiff": (saved(PICTURE, "TIFF"), _NOT_PNG_OR_JPEG),
    "ppm": (saved(PICTURE, "PPM"), _NOT_PNG_OR_JPEG),
    "ico": (saved(PICTURE, "ICO"), _NOT_PNG_OR_JPEG),
    "palette": (saved(Image.fromarray(PICTURE).quantize(16)), "palette"),
    "greyscale": (saved(Image.fromarray(PICTURE).convert("L")), "greyscale"),
    "greyscale jpeg": (saved(Image.fromarray(PICTURE).convert("L"), "JPEG"), "greyscale"),
    "black and white": (saved(Image.fromarray(PICTURE).convert("1")), "black and white"),
    "alpha": (saved(Image.fromarray(PICTURE).convert("RGBA")), "alpha"),
    "grey and alpha": (saved(Image.fromarray(PICTURE).convert("LA")), "alpha"),
    "cmyk": (saved(Image.fromarray(PICTURE).convert("CMYK"), "JPEG"), "CMYK"),
    "16 bits grey": (saved(Image.fromarray(_DEEP)), "16 bits"),
    "16 bits colour": (png(head=header(depth=16), pixels=zlib.compress((b"\0" + bytes(6 * SIDE)) * SIDE)), "16 bits"),
    "transparent colour": (png(chunk(b"tRNS", bytes(6))), "transparent colour"),
    "animation": (saved(_FRAMES[0], save_all=True, append_images=_FRAMES[1:]), "animation"),
    "several frames": (saved(_FRAMES[0], "MPO", save_all=True, append_images=_FRAMES[1:]), ""),
    "rotated png": (saved(PICTURE, exif=_exif(6)), "rotated"),
    "rotated jpeg": (saved(PICTURE, "JPEG", exif=_exif(3)), "rotated"),
    "png with 65,535 tags": (png(chunk(b"eXIf", _tags(65_535))), ""),
    "jpeg with 65,535 tags": (_segments(0xE1, b"Exif\0\0", _tags(65_535)), ""),
    "jpeg with 15 times 4,900 tags": (_segments(0xE1, b"Exif\0\0", _tags(4_900).ljust(60_000, b"\0") * 15), ""),
    "jpeg with a list of frames of 4,900 tags": (_segments(0xE2, b"MPF\0", _tags(4_900)), ""),
    "wrong side": (saved(picture(0, 32)), "32×32"),
    "wrong ratio": (saved(PICTURE[:32]), "64×32"),
    "header says a billion pixels": (png(head=header(2**30, 2**30)), "pixels, expected"),
    "header says none": (png(head=header(0, 0)), "0×0"),
    "header says more than there is": (SIGNATURE + header(64, 64) + chunk(b"IDAT", zlib.compress(b"")) + END, "cut"),
    "jpeg header says 65,535": (JPEG[: _SOF + 5] + b"\xff\xff\xff\xff" + JPEG[_SOF + 9 :], "too many pixels"),
    "png cut in half": (PNG[: len(PNG) // 2], "cut short"),
    "png without its end": (PNG[:-12], "cut short"),
    "png without pixels": (SIGNATURE + header() + END, "damaged or cut short"),
    "png half the pixels": (png(pixels=zlib.compress(ROWS[: len(ROWS) // 2])), "damaged or cut short"),
    "png half the stream": (png(pixels=zlib.compress(ROWS)[:100]), "damaged or cut short"),
    "png odd filter": (png(pixels=zlib.compress(b"\x09" + ROWS[1:])), "damaged"),
    "png wrong checksum": (PNG[:30] + b"\0" + PNG[31:], "checksum"),
    "png wrong pixel checksum": (PNG[:60] + bytes([PNG[60] ^ 1]) + PNG[61:], "checksum"),
    "png two headers": (png(header()), "two chunks IHDR"),
    "png another header later": (png(header(32, 32)), "two chunks IHDR"),
    "png header second": (SIGNATURE + chunk(b"tEXt", b"a\0b") + PNG[8:], "does not begin with its header"),
    "png unknown critical chunk": (png(chunk(b"EVIL", b"x")), "no standard PNG has"),
    "png of Apple": (SIGNATURE + chunk(b"CgBI", bytes(4)) + PNG[8:], "CgBI"),
    "png pixels in pieces": (PNG[:-12] + chunk(b"tIME", bytes(7)) + chunk(b"IDAT") + END, "several pieces"),
    "png length overflows": (SIGNATURE + b"\xff\xff\xff\xffIHDR" + PNG[16:], "does not begin"),
    "png odd compression method": (png(head=header(64, 64, 8, 2, 1, 0, 0)), "damaged"),
    "png odd interlacing": (png(head=header(64, 64, 8, 2, 0, 0, 9)), "method"),
    "png all black": (saved(np.zeros_like(PICTURE)), ""),
    "png interlaced": (_interlaced(), ""),
    "png interlaced, half": (_interlaced(0.5), "damaged or cut short"),
    "png all but the last row": (png(pixels=zlib.compress(ROWS[: -SIDE * 3])), "damaged or cut short"),
    "png of 86,000 chunks": (png(*[chunk(b"tEXt")] * 86_000), "chunks"),
    "png of 86,000 empty pixel chunks": (PNG[:-12] + chunk(b"IDAT") * 86_000 + END, "chunks"),
    "png with compressed texts": (_text(40, 100_000), ""),
    "png with a text of 100 MiB": (png(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100 * MIB)))), ""),
    "png with a profile of 100 MiB": (png(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(100 * MIB)))), ""),
    "png pixels of 100 MiB": (png(pixels=zlib.compress(ROWS + bytes(100 * MIB))), ""),
    "png with bytes after its end": (PNG + b"\n", ""),
    "png and a zip": (PNG + b"PK\5\6" + bytes(18), ""),
    "png twice": (PNG * 2, ""),
    "png longer than allowed": (PNG + bytes(2 * MIB), "larger than"),
    "jpeg under png": (JPEG, ""),
    "jpeg cut": (JPEG[: len(JPEG) // 2], "damaged or cut short"),
    "jpeg half, with an end": (_jpeg_cut(JPEG, 0.5), "damaged or cut short"),
    "jpeg nine tenths, with an end": (_jpeg_cut(JPEG, 0.9), "damaged or cut short"),
    "jpeg without pixels": (JPEG[: JPEG.index(b"\xff\xda")] + b"\xff\xd9", "damaged"),
    "jpeg two headers": (JPEG[:_SOF] + _SOF_SEGMENT + JPEG[_SOF:], "two headers"),
    "jpeg arithmetic": (JPEG[: _SOF + 1] + b"\xc9" + JPEG[_SOF + 2 :], "rare kind"),
    "jpeg lossless": (JPEG[: _SOF + 1] + b"\xc3" + JPEG[_SOF + 2 :], "rare kind"),
    "jpeg of 1,000 scans": (_scans(1000), "scans"),
    "jpeg of 3,000 comments": (JPEG[:2] + b"\xff\xfe\0\2" * 3000 + JPEG[2:], "1,000 segments"),
    "jpeg of fill bytes in its pixels": (JPEG[:-2] + b"\xff" * 500_000 + b"\0" + JPEG[-2:], "more compressed data"),
    "jpeg of fill bytes": (JPEG[:2] + b"\xff" * 500_000 + JPEG[2:], ""),
    "jpeg of stuffed bytes": (JPEG[:-2] + b"\xff\0" * 250_000 + JPEG[-2:], "more compressed data"),
    "jpeg of restarts": (JPEG[:-2] + b"\xff\xd0" * 250_000 + JPEG[-2:], "more compressed data"),
    "jpeg with bytes after its end": (JPEG + b"trailing", ""),
}


# Valid, whatever else is in the file.
_VALID = {
    "png with compressed texts", "png with a text of 100 MiB", "png with a profile of 100 MiB",
    "png pixels of 100 MiB", "png with bytes after its end", "png and a zip", "png twice", "jpeg under png",
    "png with 65,535 tags", "jpeg with 65,535 tags", "jpeg with 15 times 4,900 tags",
    "jpeg with a list of frames of 4,900 tags", "jpeg of fill bytes",
    "jpeg with bytes after its end", "png interlaced", "png all black",
    }  # fmt: skip


def _case(name: str, data: bytes, said: str) -> Case:
    def make(root: Path) -> None:
        (root / "drawn" / FIRST).write_bytes(data)

    return Case("image", name, make, 0 if name in _VALID else 3, said or ("" if name in _VALID else FIRST))


CASES = [_case(name, data, said) for name, (data, said) in FILES.items()]
