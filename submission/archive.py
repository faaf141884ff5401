"""Zip files: read without unpacking to disk, and written so that equal content gives equal bytes."""

from __future__ import annotations

import os
import stat
import threading
import weakref
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from submission import atomic
from submission.errors import Problem, UsageError, shown
from submission.files import FolderFiles, ignored_note, is_junk
from submission.names import PICTURE_SUFFIXES, clash_key
from submission.safe_read import NotReadable, open_regular
from submission.zip_directory import MAX_ENTRIES, check_directory

# Images do not shrink in a zip. One that unpacks to so many times its size is made to cost time, not to be looked at.
_MAX_RATIO = 100
_RATIO_FROM = 2**20
_ENCRYPTED = 0x1
_REPACK = "make the zip again, with the images at its top"


class ZipFiles:
    """The files of a foreign zip, with the same face as `FolderFiles`. Nothing is ever extracted to disk.

    Folders around the images are tolerated when all images lie in one of them, as "compress" in a file manager and
    zipped paths make them; more than one is noted. Sizes that the zip declares are not believed: `read` counts what
    really comes out.
    """

    def __init__(self, path: Path, max_bytes: int | None = None, max_entries: int = MAX_ENTRIES) -> None:
        self.path = path
        self.problems: list[Problem] = []
        descriptor = open_regular(path, follow=True)
        if max_bytes is not None and os.fstat(descriptor).st_size > max_bytes:
            os.close(descriptor)
            raise NotReadable(f"is larger than {max_bytes:,} bytes")
        self._file = os.fdopen(descriptor, "rb")
        weakref.finalize(self, self._file.close)
        try:
            check_directory(self._file, max_entries)
            self._zip = zipfile.ZipFile(self._file)
        except NotReadable:
            raise
        except Exception as error:  # the directory of a hostile zip makes zipfile raise nearly anything
            raise NotReadable(f"is not a zip file that can be read: {error}") from None
        self._lock = threading.Lock()
        self.notes: list[str] = []
        self._entries, ignored = self._listed()
        self.names = sorted(self._entries)
        self.notes += ignored_note(ignored)

    def _listed(self) -> tuple[dict[str, zipfile.ZipInfo], list[str]]:
        infos = self._zip.infolist()
        safe: list[tuple[str, zipfile.ZipInfo]] = []
        ignored: list[str] = []
        for info in infos:
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
            elif clash_key(name) in seen:
                other = seen[clash_key(name)]
                self.problems.append(Problem(full, f"differs only in case from {other!r}", "keep one of the two"))
            else:
                entries[name] = info
                seen[clash_key(name)] = name
        return entries, ignored

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
            reason = (
                "its bytes are damaged" if isinstance(error, zlib.error | zipfile.BadZipFile | EOFError) else str(error)
            )
            raise NotReadable(f"cannot be read from the zip: {reason}") from None
        if unpacked < min(len(data), limit):
            raise NotReadable(f"unpacks to more than {_MAX_RATIO} times its size")
        if len(data) > limit:
            raise NotReadable(f"is larger than {limit:,} bytes")
        return data


def _folder_of_images(names: Sequence[str]) -> str:
    """The folder of the zip in which all images are; else the only one at its top, or "" for the top itself."""
    folders = {name.rpartition("/")[0] for name in names if name.lower().endswith(PICTURE_SUFFIXES)}
    if len(folders) != 1:
        folders = {name.split("/")[0] if "/" in name else "" for name in names}
    return folders.pop() if len(folders) == 1 else ""


def _why_refused(info: zipfile.ZipInfo) -> str:
    name = info.orig_filename
    kind = stat.S_IFMT(info.external_attr >> 16)
    if name.startswith(("/", "\\")) or name[1:2] == ":":
        return "has an absolute path"
    if "\\" in name or "\0" in name:
        return "has a backslash or a NUL in its name"
    if ".." in name.split("/"):
        return "leads out of the zip's folder"
    if kind == stat.S_IFLNK:
        return "is a symbolic link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is not a regular file"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is compressed with a method other than deflate"
    return ""


def open_files(
    path: Path, max_bytes: int | None = None, max_entries: int = MAX_ENTRIES, *, follow: bool = False
) -> FolderFiles | ZipFiles:
    """The files of the folder or zip `path`. `follow`: symbolic links in a folder are followed.

    Raises NotReadable when it is neither, or has more than `max_entries`.
    """
    try:
        if not path.exists():
            raise NotReadable("is not there")
        if path.resolve() == path.resolve().parent:
            raise NotReadable("is the root of the file system, which is no submission")
        return (
            FolderFiles(path, max_entries, follow=follow) if path.is_dir() else ZipFiles(path, max_bytes, max_entries)
        )
    except OSError as error:
        raise NotReadable(f"cannot be read: {error.strerror or error}") from None


def write_zip(
    files: FolderFiles | ZipFiles, names: Iterable[str], out: Path, limit: int, *, overwrite: bool = False
) -> None:
    """Write the files `names` to the zip `out`, sorted, without times or owners: equal content gives equal bytes.

    Images do not shrink any further, so entries are stored; that also keeps the bytes independent of zlib's version.
    Raises UsageError when `out` exists, unless `overwrite`.
    """
    if not overwrite and os.path.lexists(out):
        raise UsageError(
            f"{out} exists already; the same command with --overwrite replaces it (with make: ARGS=--overwrite),"
            " another --out keeps it"
        )
    with atomic.replacing(out) as file, zipfile.ZipFile(file, "w") as archive:
        for name in sorted(names):
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info.create_system = 3  # Unix, wherever it runs
            archive.writestr(info, files.read(name, limit))
