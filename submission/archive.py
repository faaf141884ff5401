"""Zip files: read without unpacking to disk, and written so that equal content gives equal bytes."""

from __future__ import annotations

import os
import stat
import struct
import threading
import weakref
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from submission import atomic
from submission.errors import Problem, UsageError, shown
from submission.files import FolderFiles, ignored_note, is_junk
from submission.image_names import PICTURE_SUFFIXES, clash_key
from submission.manifest import MANIFEST_NAME, max_manifest_bytes
from submission.safe_read import NotReadable, open_regular

# Images do not shrink in a zip. One that unpacks to so many times its size is made to cost time, not to be looked at.
_MAX_RATIO = 100
_RATIO_FROM = 2**20
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
MAX_ENTRIES = 200_000
_BYTES_AN_ENTRY = 512  # on average: 46, and a name of 200 bytes with what tools add to it
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_MAX_COMMENT = 2**16
_NOT_A_ZIP = "is not a zip file that can be read"
_REPACK = "make the zip again, with the images at its top"


class ZipFiles:
    """The files of a foreign zip, with the same face as `FolderFiles`. Nothing is ever extracted to disk.

    Folders around the images are tolerated when all images lie in one of them, as "compress" in a file manager and
    zipped paths make them; more than one is noted. Sizes that the zip declares are not believed: `read` counts what
    really comes out.
    """

    def __init__(self, path: Path, max_bytes: int | None = None, max_entries: int = MAX_ENTRIES) -> None:
        self.problems: list[Problem] = []
        self.folders: list[str] = []  # none that is not looked into
        file = open_regular(path, follow=True)
        weakref.finalize(self, file.close)
        if max_bytes is not None and os.fstat(file.fileno()).st_size > max_bytes:
            raise NotReadable(f"is larger than {max_bytes:,} bytes")
        try:
            check_directory(file, max_entries)
            self._zip = zipfile.ZipFile(file)
        except NotReadable:
            raise
        except Exception as error:  # the directory of a hostile zip makes zipfile raise nearly anything
            raise NotReadable(f"{_NOT_A_ZIP}: {error}") from None
        self._lock = threading.Lock()
        self.notes: list[str] = []
        self._entries = self._listed()
        self.names = sorted(self._entries)

    def _listed(self) -> dict[str, zipfile.ZipInfo]:
        safe: list[tuple[str, zipfile.ZipInfo]] = []
        ignored: list[str] = []
        for info in self._zip.infolist():
            name = info.orig_filename  # `filename` is cut at the first NUL
            parts = [part for part in name.split("/") if part not in ("", ".")]
            if what := _why_refused(info):
                self.problems.append(Problem(name, what, _REPACK))
            elif name.endswith("/"):
                continue
            elif junk := [part for part in parts if is_junk(part)]:
                ignored.append(junk[0])
            else:
                safe.append(("/".join(parts), info))
        folder = _folder_of_images([name for name, _ in safe])
        if "/" in folder:
            self.notes.append(f"the images lie in the folder {shown(folder)} of the zip")
        enclosing = f"{folder}/" if folder else ""
        entries: dict[str, zipfile.ZipInfo] = {}
        seen: dict[str, str] = {}
        for full, info in safe:
            name = full.removeprefix(enclosing)
            if not full.startswith(enclosing):
                self.problems.append(Problem(full, "lies outside the folder of the images", "remove it from the zip"))
            elif "/" in name:
                self.problems.append(Problem(full, "is in a subfolder", _REPACK))
            elif name in entries:
                self.problems.append(Problem(full, "is in the zip twice", _REPACK))
            elif (other := seen.setdefault(clash_key(name), name)) != name:
                self.problems.append(Problem(full, f"differs only in case from {other!r}", "keep one of the two"))
            else:
                entries[name] = info
        self.notes += ignored_note(ignored)
        return entries

    def size(self, name: str) -> int:
        """How many bytes the file `name` has, if the zip says the truth."""
        return self._entries[name].file_size

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of the file `name`, at most `limit`, counted as they are decompressed. Raises NotReadable."""
        info = self._entries[name]
        unpacked = max(_RATIO_FROM, _MAX_RATIO * info.compress_size)
        try:
            with self._lock, self._zip.open(info) as member:
                data = member.read(min(limit, unpacked) + 1)
        except Exception as error:  # zlib.error, BadZipFile, EOFError, struct.error …: all mean a damaged entry
            damaged = isinstance(error, zlib.error | zipfile.BadZipFile | EOFError)
            reason = "its bytes are damaged" if damaged else str(error)
            raise NotReadable(f"cannot be read from the zip: {reason}") from None
        if unpacked < min(len(data), limit):
            raise NotReadable(f"unpacks to more than {_MAX_RATIO} times its size")
        if len(data) > limit:
            raise NotReadable(f"is larger than {limit:,} bytes")
        return data


Files = FolderFiles | ZipFiles


def _folder_of_images(names: Sequence[str]) -> str:
    """The folder of the zip in which all images are; else the only one at its top, or "" for the top itself."""
    folders = {name.rpartition("/")[0] for name in names if name.lower().endswith(PICTURE_SUFFIXES)}
    if len(folders) != 1:
        folders = {name.split("/")[0] if "/" in name else "" for name in names}
    return folders.pop() if len(folders) == 1 else ""


def _why_refused(info: zipfile.ZipInfo) -> str:
    name = info.orig_filename
    kind = stat.S_IFMT(info.external_attr >> 16)
    refusals = {
        "has an absolute path": name.startswith(("/", "\\")) or name[1:2] == ":",
        "has a backslash or a NUL in its name": "\\" in name or "\0" in name,
        "leads out of the zip's folder": ".." in name.split("/"),
        "is a symbolic link": kind == stat.S_IFLNK,
        "is not a regular file": kind not in (0, stat.S_IFREG, stat.S_IFDIR),
        "is encrypted": info.flag_bits & _ENCRYPTED,
        "is compressed with a method other than deflate": info.compress_type not in _METHODS,
    }
    return next((what for what, refused in refusals.items() if refused), "")


def open_files(
    path: Path, max_bytes: int | None = None, max_entries: int = MAX_ENTRIES, *, follow: bool = False
) -> Files:
    """The files of the folder or zip `path`. `follow`: symbolic links in a folder are followed.

    Raises NotReadable when it is neither, or has more than `max_entries`.
    """
    try:
        if not path.exists():
            raise NotReadable("is not there")
        if path.resolve() == path.resolve().parent:
            raise NotReadable("is the root of the file system, which is no submission")
        if path.is_dir():
            return FolderFiles(path, max_entries, follow=follow)
        return ZipFiles(path, max_bytes, max_entries)
    except OSError as error:
        raise NotReadable(f"cannot be read: {error.strerror or error}") from None


def write_zip(files: Files, names: Iterable[str], out: Path, limit: int, *, overwrite: bool = False) -> None:
    """Write the files `names` to the zip `out`, sorted, without times or owners: equal content gives equal bytes.

    Images do not shrink any further, so entries are stored; that also keeps the bytes independent of zlib's version.
    A file has at most `limit` bytes, the manifest what is read of one. Raises UsageError when `out` exists, unless
    `overwrite`; NotReadable, which names the file.
    """
    if not overwrite and os.path.lexists(out):
        raise UsageError(
            f"{out} exists already; the same command with --overwrite replaces it (with make: ARGS=--overwrite),"
            " another --out keeps it"
        )
    names = sorted(names)
    of_manifest = max(limit, max_manifest_bytes(len(names) - 1))
    with atomic.replacing(out) as file, zipfile.ZipFile(file, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info.create_system = 3  # Unix, wherever it runs
            try:
                archive.writestr(info, files.read(name, of_manifest if name == MANIFEST_NAME else limit))
            except NotReadable as error:
                raise NotReadable(f"{shown(name)}: {error}") from None


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
    start = file.seek(max(0, length - _MAX_COMMENT - _END.size - _END64.size - _LOCATOR64.size))
    tail = file.read()
    if tail[-_END.size :].startswith(b"PK\5\6") and tail.endswith(b"\0\0"):
        at = len(tail) - _END.size
    else:
        at = tail.rfind(b"PK\5\6", max(0, len(tail) - _MAX_COMMENT - _END.size))
    if at < 0 or len(tail) - at < _END.size:
        raise NotReadable(f"{_NOT_A_ZIP}: it has no directory")
    _, _, _, _, count, size, _, _ = _END.unpack_from(tail, at)
    locator = at - _LOCATOR64.size
    before = locator - _END64.size
    if before >= 0 and tail.startswith(b"PK\6\6", before) and tail.startswith(b"PK\6\7", locator):
        _, _, _, _, _, _, _, count, size, _ = _END64.unpack_from(tail, before)
        at = before
    return start + at, count, size
