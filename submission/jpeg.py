"""The markers of a JPEG file, checked before a decoder sees them.

A decoder fills what is missing with grey and says nothing; `probe` is a way to find that out. Markers: ITU-T T.81,
annex B.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import count

from submission import tiff_tags
from submission.safe_read import NotReadable

SIGNATURE = b"\xff\xd8\xff"
# Progressive files have about ten scans. Each one takes a pass over all pixels, whatever it holds: ten bytes of file
# may cost as much as a whole image.
MAX_SCANS = 32
MAX_SEGMENTS = 1000
_SOI, _EOI, _SOS, _DNL, _TEM, _APP1, _APP2 = 0xD8, 0xD9, 0xDA, 0xDC, 0x01, 0xE1, 0xE2
_RESTARTS = range(0xD0, 0xD8)
_FRAMES = {0xC0, 0xC1, 0xC2}  # Huffman coding, sequential and progressive
_OTHER_FRAMES = {*range(0xC3, 0xD0)} - {0xC4, 0xC8, 0xCC}
# What the pixels depend on: tables, intervals; by their first bytes: JFIF, Adobe's colours.
_PASSED_ON = {*_FRAMES, _SOS, 0xC4, 0xDB, 0xDD}
_PASSED_ON_OF = {0xE0: b"JFIF", 0xEE: b"Adobe"}
# No block of 8 × 8 pixels takes more, in all its colours and scans: 27 bits a coefficient at most.
_BYTES_A_BLOCK = 2048
# In compressed data, 0xFF is followed by zero, by a restart marker or by more 0xFF; anything else ends it.
_MARKER = re.compile(rb"(?<!\xff)\xff++([^\x00])")
_ENDS_SCAN = re.compile(rb"(?<!\xff)\xff++[^\x00\xd0-\xd7]")
# Bits that a decoder which still needs data decodes to something. Each of these finds 98 % of cuts, both nearly all.
_FILLINGS = (bytes((37 * place + 129) % 255 for place in range(64)), b"\x9d\x3a\xe7\x5c\xd2\x69\xb4\x4e" * 3)


def pixels_only(data: bytes) -> tuple[bytes, list[tuple[int, int]], int]:
    """The file with nothing but what decides the pixels: no filling, no profiles, nothing after its end; where in this
    the compressed data of each scan begins and ends; the orientation that its EXIF names, 1 where there is none.

    The file begins with SIGNATURE. Raises NotReadable.
    """
    parts = [data[:2]]
    scans: list[tuple[int, int]] = []
    orientations: list[int] = []
    place, blocks, left = 2, None, 0
    for segments in count(1):
        match = _MARKER.search(data, place)  # some cameras write zeros between segments
        if match is None:
            raise NotReadable("is damaged or cut short: it has no end")
        kind, place = match[1][0], match.end()
        if kind == _EOI:
            break
        if kind in _OTHER_FRAMES:
            raise NotReadable("is a JPEG of a rare kind (arithmetic, lossless or hierarchical)")
        if kind in (_SOI, _DNL, _TEM) or kind in _RESTARTS:
            raise NotReadable("is damaged: a marker is out of place")
        if segments > MAX_SEGMENTS:
            raise NotReadable(f"has more than {MAX_SEGMENTS:,} segments")
        length = int.from_bytes(data[place : place + 2], "big")
        if length < 2 or place + length > len(data):
            raise NotReadable("is damaged or cut short")
        segment = data[place : place + length]
        place += length
        if kind == _APP1 and segment.startswith(b"Exif\0\0", 2):
            orientations.append(tiff_tags.number(segment[8:], tiff_tags.ORIENTATION, 1))
        if kind == _APP2 and segment.startswith(b"MPF\0", 2) and tiff_tags.number(segment[6:], tiff_tags.FRAMES, 1) > 1:
            raise NotReadable("has more than one frame")
        if kind in _PASSED_ON or segment[2:].startswith(_PASSED_ON_OF.get(kind, b"\0none")):
            parts.append(bytes((0xFF, kind)) + segment)
        if kind in _FRAMES:
            if blocks is not None:
                raise NotReadable("is damaged: it has two headers")
            height, width = int.from_bytes(segment[3:5], "big"), int.from_bytes(segment[5:7], "big")
            blocks = -(-height // 8) * -(-width // 8)
            left = _BYTES_A_BLOCK * blocks + 2**16
        if kind == _SOS:
            if len(scans) == MAX_SCANS:
                raise NotReadable(f"has more than {MAX_SCANS} scans")
            ends = _ENDS_SCAN.search(data, place)
            if ends is None:
                raise NotReadable("is damaged or cut short")
            length = ends.start() - place
            left -= length
            restarts = sum(data.count(bytes((0xFF, number)), place, ends.start()) for number in _RESTARTS)
            if blocks is None or left < 0 or restarts > 4 * blocks:
                raise NotReadable("is damaged: it has more compressed data than pixels")
            start = sum(map(len, parts))
            scans.append((start, start + length))
            parts.append(data[place : place + length])
            place += length
    if not scans:
        raise NotReadable("is damaged: there are no pixels in it")
    return b"".join([*parts, b"\xff\xd9"]), scans, next(iter(orientations), 1)


def probes(data: bytes, scans: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    """What `pixels_only` returned with more compressed data in front of each marker that ends some, in several ways.

    A decoder that had all it needed passes over them: the pixels are equal exactly when nothing was missing.
    """
    for filling in _FILLINGS:
        parts: list[bytes] = []
        done = 0
        for start, end in scans:
            restarts = 0
            for match in _MARKER.finditer(data, start, end + 2):
                parts += [data[done : match.start()], filling]
                done = match.start()
                restarts += match[1][0] in _RESTARTS
            for number in range(restarts, restarts + 2):  # for parts between restarts that are missing as a whole
                parts += [bytes((0xFF, _RESTARTS[number % 8])), filling]
        yield b"".join([*parts, data[done:]])
