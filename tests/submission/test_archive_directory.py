"""The directory of a zip is bounded before it is read: by its own numbers, and by what really is in it."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
import zipfile

import pytest

from submission.archive import check_directory, max_entries
from submission.safe_read import NotReadable

_ENTRY = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"


def _archive(entries, told=None, zip64=False, comment=b""):
    """A zip without files, whose directory has so many entries and tells of others."""
    directory = _ENTRY * entries
    told = entries if told is None else told
    more = b""
    if zip64:
        more = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, told, told, len(directory), 0)
        more += struct.pack("<4sLQL", b"PK\6\7", 0, len(directory), 1)
    count, size = (0xFFFF, 0xFFFFFFFF) if zip64 else (told & 0xFFFF, len(directory))
    return directory + more + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, size, 0, len(comment)) + comment


@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("comment", [b"", b"made by hand", b"x" * 65535])
def test_counts_as_zipfile_does(zip64, comment):
    data = _archive(100, zip64=zip64, comment=comment)
    assert len(zipfile.ZipFile(io.BytesIO(data)).infolist()) == 100
    check_directory(io.BytesIO(data), 100)
    with pytest.raises(NotReadable, match="more than 99"):
        check_directory(io.BytesIO(data), 99)


@pytest.mark.parametrize("zip64", [False, True])
def test_three_million_entries_cost_nothing(zip64):
    data = _archive(300_000, told=10, zip64=zip64)  # it tells of ten
    file = io.BytesIO(data)
    tracemalloc.start()
    with pytest.raises(NotReadable, match="more than"):
        check_directory(file, max_entries(1063))
    assert tracemalloc.get_traced_memory()[1] < 2**21
    tracemalloc.stop()
    with pytest.raises(NotReadable, match=r"3,000,000 entries, more than 200,000"):
        check_directory(io.BytesIO(_archive(1, told=3_000_000, zip64=True)), 200_000)


def test_what_passes_has_no_more_entries_for_zipfile_either():
    """Bytes changed at random: two readers of one directory must not see two directories."""
    rng = random.Random(0)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for index in range(5):
            archive.writestr(f"{index}.png", b"x" * 10)
    seeds = [buffer.getvalue(), _archive(20, zip64=True), _archive(20, comment=b"PK\5\6" + b"x" * 30)]
    passed = 0
    for _ in range(3000):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(max(0, len(data) - 150), len(data))] = rng.choice([0, 1, 5, 6, 0xFF, rng.randrange(256)])
        try:
            check_directory(io.BytesIO(data), 25)
            found = zipfile.ZipFile(io.BytesIO(data)).infolist()
        except (NotReadable, zipfile.BadZipFile, NotImplementedError, ValueError):
            continue
        passed += 1
        assert len(found) <= 25
    assert passed > 100
