"""The chunks of a PNG file, checked before a decoder sees them: only those that make the pixels are passed on.

Chunk layout: Portable Network Graphics Specification (Third Edition), section 5.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Encoders write 8 KiB of pixels a chunk or more; the few that write less stay below one a kilobyte.
_CHUNKS_AT_LEAST, _BYTES_A_CHUNK = 1000, 1024
# What the pixels and the refusals of `submission.images` depend on. Texts, profiles and times do not change a pixel,
# and some of them decompress to a thousand times their size.
_PASSED_ON = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf"}
_CRITICAL = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}


class BadPng(ValueError):
    """What is wrong with a PNG file, as the end of a sentence."""


@dataclass(frozen=True)
class Header:
    """What IHDR says: pixels a row, rows, bits a channel, the kind of colour, and whether it is interlaced."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool


def header(data: bytes) -> Header:
    """The header of a file that begins with SIGNATURE. Raises BadPng."""
    if len(data) < 33:
        raise BadPng("is cut short")
    if data[8:16] != b"\0\0\0\x0dIHDR":
        raise BadPng("is damaged: it does not begin with its header")
    width, height, depth, colour, compression, filtering, interlacing = struct.unpack(">II5B", data[16:29])
    if compression or filtering or interlacing > 1:
        raise BadPng("is damaged: its header names a method that no standard PNG has")
    return Header(width, height, depth, colour, bool(interlacing))


def pixels_only(data: bytes) -> bytes:
    """The file with nothing but what decides the pixels; what follows its end is left out. Raises BadPng.

    Refused is what decoders disagree on: a wrong checksum, two headers, a critical chunk that no standard knows,
    pixels in several pieces, an animation, an end that is missing.
    """
    limit = max(_CHUNKS_AT_LEAST, len(data) // _BYTES_A_CHUNK)
    view = memoryview(data)
    kept: list[bytes | memoryview] = [SIGNATURE]
    previous, seen = b"", set()
    place, count = len(SIGNATURE), 0
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if end > len(data):
            break
        count += 1
        if count > limit:
            raise BadPng(f"has more than {limit:,} chunks")
        if zlib.crc32(view[place + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise BadPng("is damaged: a checksum in it is wrong")
        if kind == b"acTL":
            raise BadPng("is an animation")
        if not kind[0] & 0x20 and kind not in _CRITICAL:  # a capital letter first: no decoder may skip it
            raise BadPng(f"has a chunk {kind.decode('ascii', 'backslashreplace')!r} that no standard PNG has")
        if kind in seen and (kind != b"IDAT" or previous != kind):
            what = "its pixels are in several pieces" if kind == b"IDAT" else f"it has two chunks {kind.decode()}"
            raise BadPng(f"is damaged: {what}")
        if kind in _PASSED_ON:
            kept.append(view[place:end])
            seen.add(kind)  # others may be there many times
        if kind == b"IEND":
            return b"".join(kept)
        previous, place = kind, end
    raise BadPng("is cut short")


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
    inflate, found, place = zlib.decompressobj(), 0, len(SIGNATURE)
    while place + 12 <= len(data) and found < wanted:
        length, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"IDAT":
            found += len(inflate.decompress(data[place + 8 : place + 8 + length], wanted - found))
            while inflate.unconsumed_tail and found < wanted:
                found += len(inflate.decompress(inflate.unconsumed_tail, wanted - found))
        place += 12 + length
    return found >= wanted
