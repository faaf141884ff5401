"""The chunks of a PNG file, checked before a decoder sees them: only those that make the pixels are passed on.

Chunk layout: Portable Network Graphics Specification (Third Edition), section 5.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from submission.safe_read import NotReadable

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Encoders write 8 KiB of pixels a chunk or more; the few that write less stay below one a kilobyte.
_CHUNKS_AT_LEAST, _BYTES_A_CHUNK = 1000, 1024
# What the pixels and the refusals of `submission.images` depend on. Texts, profiles and times do not change a pixel,
# and some of them decompress to a thousand times their size.
_PASSED_ON = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf"}
_CRITICAL = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}


@dataclass(frozen=True)
class Header:
    """What IHDR says: pixels a row, rows, bits a channel, the kind of colour, and whether it is interlaced."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool


def header(data: bytes) -> Header:
    """The header of a file that begins with SIGNATURE. Raises NotReadable."""
    if len(data) < 33:
        raise NotReadable("is cut short")
    if data[8:16] != b"\0\0\0\x0dIHDR":
        raise NotReadable("is damaged: it does not begin with its header")
    width, height, depth, colour, compression, filtering, interlacing = struct.unpack(">II5B", data[16:29])
    if compression or filtering or interlacing > 1:
        raise NotReadable("is damaged: its header names a method that no standard PNG has")
    return Header(width, height, depth, colour, bool(interlacing))


def pixels_only(data: bytes) -> bytes:
    """The file with nothing but what decides the pixels; what follows its end is left out. Raises NotReadable.

    Refused is what decoders disagree on: a wrong checksum, two headers, a critical chunk that no standard knows,
    pixels in several pieces, an animation, an end that is missing.
    """
    limit = max(_CHUNKS_AT_LEAST, len(data) // _BYTES_A_CHUNK)
    view = memoryview(data)
    kept: list[bytes | memoryview] = [SIGNATURE]
    previous, seen = b"", set()
    for count, (kind, start, end) in enumerate(_chunks(data), start=1):
        if count > limit:
            raise NotReadable(f"has more than {limit:,} chunks")
        if zlib.crc32(view[start + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise NotReadable("is damaged: a checksum in it is wrong")
        if kind == b"acTL":
            raise NotReadable("is an animation")
        if not kind[0] & 0x20 and kind not in _CRITICAL:  # a capital letter first: no decoder may skip it
            raise NotReadable(f"has a chunk {kind.decode('ascii', 'backslashreplace')!r} that no standard PNG has")
        if kind in seen and (kind != b"IDAT" or previous != kind):
            what = "its pixels are in several pieces" if kind == b"IDAT" else f"it has two chunks {kind.decode()}"
            raise NotReadable(f"is damaged: {what}")
        if kind in _PASSED_ON:
            kept.append(view[start:end])
            seen.add(kind)  # others may be there many times
        if kind == b"IEND":
            return b"".join(kept)
        previous = kind
    raise NotReadable("is cut short")


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The kind of each whole chunk, and where it begins and ends with its length and checksum."""
    start = len(SIGNATURE)
    while start + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + 12 + length
        if end > len(data):
            return
        yield kind, start, end
        start = end


_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# First column and row of each pass of an interlaced image, and the steps between them (section 8.2).
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def holds_all_pixels(data: bytes) -> bool:
    """Whether the compressed pixels of a file that `pixels_only` has returned are as many as its header says.

    Decoders leave the rows that are missing black, without a word.
    """
    head = header(data)
    bits = head.depth * _CHANNELS.get(head.colour, 4)
    passes = _PASSES if head.interlaced else ((0, 0, 1, 1),)
    wanted = 0
    for left, top, across, down in passes:
        columns, rows = -(-(head.width - left) // across), -(-(head.height - top) // down)
        wanted += max(rows, 0) * (1 + (columns * bits + 7) // 8) if columns > 0 else 0
    deflated = b"".join(data[start + 8 : end - 4] for kind, start, end in _chunks(data) if kind == b"IDAT")
    return len(zlib.decompressobj().decompress(deflated, wanted)) == wanted
