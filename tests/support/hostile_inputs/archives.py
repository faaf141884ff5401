"""Zip files: bombs, lies, links, names that lead out."""

from __future__ import annotations

import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

from hostile_inputs.case import FIRST, NAMES, Case, validate

_ENTRY = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"


def _zip(root: Path, change: Callable[[zipfile.ZipFile], None] | None = None, prefix: str = "") -> Path:
    path = root / "drawn.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in NAMES:
            archive.write(root / "drawn" / name, prefix + name)
        if change:
            change(archive)
    return path


def _case(
    name: str, said: str, change: Callable[[zipfile.ZipFile], None] | None = None, *, code: int = 3, prefix: str = ""
) -> Case:
    return Case("zip", name, lambda root: validate(_zip(root, change, prefix), root), code, said)


def _bytes(name: str, said: str, change: Callable[[bytes], bytes], *, code: int = 3) -> Case:
    def make(root: Path) -> list[str]:
        path = _zip(root)
        path.write_bytes(change(path.read_bytes()))
        return validate(path, root)

    return Case("zip", name, make, code, said)


def _entry(name: str, data: bytes = b"x", mode: int = 0, **facts: object) -> Callable[[zipfile.ZipFile], None]:
    def change(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        for key, value in facts.items():
            setattr(info, key, value)
        archive.writestr(info, data)

    return change


def directory(entries: int, told: int, *, zip64: bool = False) -> bytes:
    """A zip that is only a directory: of so many entries, telling of others."""
    data = _ENTRY * entries
    more = b""
    if zip64:
        more = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, told, told, len(data), 0)
        more += struct.pack("<4sLQL", b"PK\6\7", 0, len(data), 1)
    count, size = (0xFFFF, 0xFFFFFFFF) if zip64 else (told & 0xFFFF, len(data))
    return data + more + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, size, 0, 0)


def _bomb(archive: zipfile.ZipFile) -> None:
    archive.writestr("submission.json", bytes(200 * 2**20))


def _again(archive: zipfile.ZipFile) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of what is meant
        archive.writestr(FIRST, b"x")


def _many(archive: zipfile.ZipFile) -> None:
    for number in range(2000):
        archive.writestr(f"{number}.png", b"")


def _without_first(data: bytes) -> bytes:
    return data.replace(b"0_main", b"8_main")


_END = b"PK\5\6"
CASES = [
    _case("honest", "valid submission", code=0),
    _case("one folder around", "valid submission", code=0, prefix="my images/"),
    _case("three folders around", "valid submission", code=0, prefix="a/b/c/"),
    _case("a file more", "not named by any prompt", _entry("more.png")),
    _case("twice the same", "twice", _again),
    _case("another case", "only in case", _entry("0_MAIN.PNG")),
    _case("leads out", "leads out", _entry("../evil.png")),
    _case("leads out deeper", "leads out", _entry("a/../../evil.png")),
    _case("absolute", "absolute", _entry("/etc/passwd")),
    _case("drive", "absolute", _entry("C:\\evil.png")),
    _case("backslash", "backslash", _entry("a\\evil.png")),
    _case("link", "symbolic link", _entry("evil.png", b"/etc/passwd", stat.S_IFLNK | 0o777)),
    _case("device", "not a regular file", _entry("evil.png", b"", stat.S_IFCHR | 0o666)),
    _case("fifo", "not a regular file", _entry("evil.png", b"", stat.S_IFIFO | 0o666)),
    _case("escape in a name", "\\x1b", _entry("\x1b[2Jevil.png")),
    _case("bidi in a name", "\\u202e", _entry("\u202egnp.exe")),
    _case("command in a name", ":\\x3aerror", _entry("::error::x.png")),
    _case("lzma", "method", _entry("evil.png", b"x" * 100, compress_type=zipfile.ZIP_LZMA)),
    _case("bzip2", "method", _entry("evil.png", b"x" * 100, compress_type=zipfile.ZIP_BZIP2)),
    _case("a bomb as manifest", "submission.json", _bomb),
    _case("2,000 files more", "entries", _many),
    _bytes("missing image", "is missing", _without_first),
    _bytes("cut in half", "not a zip", lambda data: data[: len(data) // 2]),
    _bytes("without its end", "not a zip", lambda data: data[:-22]),
    _bytes("empty file", "not a zip", lambda data: b""),
    _bytes("only an end", "is missing", lambda data: _END + bytes(18)),
    _bytes("not a zip", "not a zip", lambda data: b"Rar!\x1a\x07\x00" * 500),
    _bytes("bytes before it", "valid submission", lambda data: b"#!/bin/sh\n" * 100 + data, code=0),
    _bytes("a comment", "valid submission", lambda data: data[:-2] + b"\3\0abc", code=0),
    _bytes("encrypted", "encrypted", lambda data: data.replace(b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0")),
    _bytes("other crc", "damaged", lambda data: data.replace(b"\x89PNG", b"\x88PNG", 1)),
    _bytes("directory of 100,000", "entries", lambda data: directory(100_000, 100_000, zip64=True)),
    _bytes("directory of 100,000 that tells of 8", "directory of", lambda data: directory(100_000, 8)),
    _bytes("directory that tells of a billion", "1,000,000,000", lambda data: directory(8, 10**9, zip64=True)),
    _bytes("directory before the file", "not a zip", lambda data: _END + struct.pack("<4H2LH", 0, 0, 1, 1, 9999, 0, 0)),
]
