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
    """What IHDR says: pixels a row, rows, bits a channel."""

    width: int
    height: int
    depth: int


def header(data: bytes) -> Header:
    """The header of a file that begins with SIGNATURE. Raises BadPng."""
    if len(data) < 33:
        raise BadPng("is cut short")
    if data[8:16] != b"\0\0\0\x0dIHDR":
        raise BadPng("is damaged: it does not begin with its header")
    return Header(*struct.unpack(">IIB", data[16:25]))


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
