"""How many entries a foreign zip has, counted before `zipfile` makes an object of a kilobyte for each.

Layout: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.12 to 4.3.16. The records are looked for where `zipfile` does.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from submission.safe_read import NotReadable

MAX_ENTRIES = 200_000
_BYTES_AN_ENTRY = 512  # on average: 46, and a name of 200 bytes with what tools add to it
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_MAX_COMMENT = 2**16
_NOT_A_ZIP = "is not a zip file that can be read"


def max_entries(images: int) -> int:
    """How many entries are accepted in a submission of so many images: room for folders and for what systems add."""
    return min(MAX_ENTRIES, 1000 + 10 * images)


def check_directory(file: BinaryIO, limit: int) -> None:
    """Raises NotReadable when a zip has more than `limit` entries, whatever number it says itself, or is none."""
    place, count, size = _end(file)
    if count > limit:
        raise NotReadable(f"has {count:,} entries, more than {limit:,}")
    if size > limit * _BYTES_AN_ENTRY:
        raise NotReadable(f"has a directory of {size:,} bytes, more than {limit * _BYTES_AN_ENTRY:,}")
    if size > place:
        raise NotReadable(f"{_NOT_A_ZIP}: its directory would begin before the file")
    file.seek(place - size)
    directory = file.read(size)
    found = at = 0
    while at + 46 <= size:
        found += 1
        if found > limit:
            raise NotReadable(f"has more than {limit:,} entries")
        at += 46 + sum(struct.unpack_from("<3H", directory, at + 28))  # name, extra field, comment
    file.seek(0)


def _end(file: BinaryIO) -> tuple[int, int, int]:
    """Where the directory ends, and the entries and bytes that it is said to have."""
    length = file.seek(0, os.SEEK_END)
    start = max(0, length - _MAX_COMMENT - _END.size)
    file.seek(start)
    tail = file.read()
    if tail[-_END.size :].startswith(b"PK\5\6") and tail.endswith(b"\0\0"):
        at = len(tail) - _END.size
    else:
        at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        raise NotReadable(f"{_NOT_A_ZIP}: it has no directory")
    _, _, _, _, count, size, _, _ = _END.unpack_from(tail, at)
    place = start + at
    before = place - _LOCATOR64.size - _END64.size
    if before >= 0:
        file.seek(before)
        records = file.read(_END64.size + _LOCATOR64.size)
        if records.startswith(b"PK\6\6") and records[_END64.size :].startswith(b"PK\6\7"):
            _, _, _, _, _, _, _, count, size, _ = _END64.unpack_from(records)
            place = before
    return place, count, size
