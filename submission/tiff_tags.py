"""Numbers in the tags of EXIF and of a JPEG's list of frames: one tag is read, where a reader of all of them takes a
second for a megabyte. Layout: TIFF, revision 6.0, section 2."""

from __future__ import annotations

import struct

ORIENTATION = 0x0112  # CIPA DC-008, section 4.6.4
FRAMES = 0xB001  # CIPA DC-007, section 5.2.3
_KINDS = {1: "B", 3: "H", 4: "I"}


def number(data: bytes, tag: int, otherwise: int) -> int:
    """The number that the first list of tags in `data` has for `tag`; `otherwise` where it has none."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        return otherwise
    place = struct.unpack_from(f"{order}I", data, 4)[0]
    if len(data) < place + 2:
        return otherwise
    entries = data[place + 2 : place + 2 + 12 * struct.unpack_from(f"{order}H", data, place)[0]]
    for found, kind, count, value in struct.iter_unpack(f"{order}HHI4s", entries[: len(entries) // 12 * 12]):
        if found == tag and kind in _KINDS and count == 1:
            return int(struct.unpack_from(order + _KINDS[kind], value)[0])
    return otherwise
