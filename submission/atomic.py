"""Files and folders that are either whole or not there: write beside, flush, rename.

Whether a file can be written where it was asked for is known before the work (`check_writable`), not after it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import socket
import stat
import time
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from submission.errors import UsageError, shown

_LEFTOVER_AGE_S = 3600  # younger ones of other machines may be written right now
_TEMPORARY = re.compile(r"\.([0-9a-f]{8})-([0-9]{1,9})-[0-9a-f]{16}\.part")
# What file systems answer that know no fsync of a folder.
_NO_FSYNC = {errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.EOPNOTSUPP}
_DESCRIPTOR = re.compile(r"/dev/std(out|err)|/(?:dev|proc/self)/fd/([0-9]{1,4})")
_HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"


def is_leftover(name: str) -> bool:
    """Whether `name` is a temporary file of this module, as a killed process leaves it. Every reader ignores these."""
    return name.startswith(".") and name.endswith(".part")


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of `folder` that nobody writes any more: their process, on this machine, is gone, or
    they are older than an hour. Other programs' files are left alone."""
    for path in folder.glob(".*.part"):
        if match := _TEMPORARY.fullmatch(path.name):
            with contextlib.suppress(FileNotFoundError):
                if _is_gone(*match.groups()) or time.time() - path.lstat().st_mtime > _LEFTOVER_AGE_S:
                    path.unlink()


def _is_gone(host: str, pid: str) -> bool:
    if host != _HOST or os.name == "nt":  # Windows' os.kill ends the process that it is asked about
        return False
    try:
        os.kill(int(pid), 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)  # another one: it is somebody else's
    return False


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], *, lasting: bool = True) -> Iterator[BinaryIO]:
    """A binary file to write that becomes `path` when the block ends well, and vanishes when it raises.

    It has the permissions of the file that it replaces, and its owner where this process may give files away. With
    `lasting`, the name too is on the disk when the block has ended: what is reported as done survives a power
    cut. One of many files, whose folder is complete only with a last one that is `lasting`, does not need it.
    """
    path = Path(path)
    if match := _DESCRIPTOR.fullmatch(str(path)):  # also where it is a file that the shell made: what is printed stays
        number = match[2] or {"out": 1, "err": 2}[match[1]]
        with os.fdopen(os.dup(int(number)), "wb") as file:
            yield file
        return
    if _is_special(path):  # /dev/null, /dev/stdout, a FIFO: renaming a file over it would destroy it
        try:
            with path.open("wb") as file:
                yield file
        except OSError as error:
            raise _about(path, path, error) from None
        return
    # The same folder, because a rename is atomic only within a file system; a short name, because `path.name` may be
    # as long as the file system allows.
    temporary = path.parent / f".{_HOST}-{os.getpid()}-{secrets.token_hex(8)}.part"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        with os.fdopen(descriptor, "wb") as file:
            _take_permissions(descriptor, path)
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        if lasting:
            sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _about(path, temporary, error) from None
        raise


def _about(path: Path, temporary: Path, error: OSError) -> OSError:
    """The error with the name of the file that was to be written: a full disk has none, others name the temporary."""
    if error.filename in (None, str(temporary)):
        error.filename, error.filename2 = str(path), None
    return error


def sync_folder(folder: Path) -> None:
    """Bring the names in `folder` to the disk: a file's own fsync does not. Nothing where folders cannot be opened."""
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except PermissionError:  # a folder may be written to and not be read
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise
    finally:
        os.close(descriptor)


def _take_permissions(descriptor: int, path: Path) -> None:
    """Give the open file the permissions and the owner of the regular file `path`, as far as that is allowed."""
    try:
        old = path.lstat()
    except OSError:
        return
    if not stat.S_ISREG(old.st_mode) or not hasattr(os, "fchmod"):
        return
    new = os.fstat(descriptor)
    with contextlib.suppress(OSError):
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            os.fchown(descriptor, old.st_uid, old.st_gid)
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, stat.S_IMODE(old.st_mode) & 0o777)


def write_bytes(path: str | os.PathLike[str], data: bytes, *, lasting: bool = True) -> None:
    """Write `data` to `path` at once; a reader sees the old file or the new one, never a part."""
    with replacing(path, lasting=lasting) as file:
        file.write(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """`write_bytes` of UTF-8, with the line ends as they are."""
    # Names of files that are no UTF-8 hold lone surrogates; in JSON this form of them is an escape of its own.
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def write_json(path: str | os.PathLike[str], value: object) -> None:
    """`write_text` of JSON in the order of `value`'s keys. Raises ValueError for NaN and infinity, which JSON lacks."""
    write_text(path, json.dumps(value, allow_nan=False, indent=1, ensure_ascii=False) + "\n")


def remove_file(path: Path) -> None:
    """Remove the file that `replacing` would replace; what it would write to as it is, or refuse, stays."""
    if path.is_file() and not _DESCRIPTOR.fullmatch(str(path)):
        path.unlink()


def replace_folder(fresh: Path, path: Path) -> None:
    """The finished folder `fresh` becomes `path`, whose old contents go.

    No system call swaps two folders everywhere: a process killed in between leaves `path` missing for a moment, and
    `latest_folder` finds the old contents where they were put aside.
    """
    aside = _aside(path)
    if path.exists():
        shutil.rmtree(aside, ignore_errors=True)
        path.rename(aside)
    fresh.rename(path)
    sync_folder(path.parent)
    shutil.rmtree(aside, ignore_errors=True)


def latest_folder(path: Path) -> Path | None:
    """Where the last whole contents of a folder written by `replace_folder` are; None when there never were any."""
    return next((folder for folder in (path, _aside(path)) if folder.exists()), None)


def remove_folder(path: Path) -> None:
    """Remove a folder written by `replace_folder`, and what a killed process put aside for it."""
    shutil.rmtree(_aside(path), ignore_errors=True)
    shutil.rmtree(path, ignore_errors=True)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _is_special(path: Path) -> bool:
    """Whether it is a device or a FIFO, which is written to as it is."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def check_writable(outputs: Mapping[str, Path | None], *, makes_folder: Collection[str] = ()) -> None:
    """Raise UsageError with all that keeps the files `outputs` (what asks for it -> where) from being written.

    A file is made beside each and removed, so nothing is left behind. The folders of those in `makes_folder` need not
    exist yet.
    """
    problems = [
        f"{what} {shown(str(path))}: {reason}"
        for what, path in outputs.items()
        if path is not None and (reason := _reason(path, makes_folder=what in makes_folder))
    ]
    if problems:
        raise UsageError("\n  ".join(["nothing was done, because its result could not be written:", *problems]))


def check_kept(outputs: Mapping[str, Path | None], kept: Mapping[str, Path | None]) -> None:
    """Raises UsageError for an output, named by its option, that is a kept file or another output.

    Two paths are the same file through links of both kinds, `..`, and other spellings that the file system takes for
    the same. A folder among the kept ones is kept with the files that lie directly in it.
    """
    problems = []
    written = [(option, path) for option, path in outputs.items() if path is not None and not _is_special(path)]
    read = [(what, path) for what, path in kept.items() if path is not None]
    for place, (option, path) in enumerate(written):
        for what, other in written[:place] + read:
            if _same(path, other):
                problems.append(f"{option} {shown(str(path))} is {what}, which it would replace")
            elif other.is_dir() and path.resolve().parent == other.resolve():
                problems.append(f"{option} {shown(str(path))} lies in {what}: write it elsewhere")
    if problems:
        raise UsageError("\n  ".join(problems))


def _same(path: Path, other: Path) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:  # one of them is not there yet
        return path.resolve() == other.resolve()


def _reason(path: Path, *, makes_folder: bool) -> str:
    """What keeps `path` from being written, or nothing."""
    folder = path.absolute().parent
    try:
        if path.is_dir():
            return "is a folder; name the file to write"
        if _DESCRIPTOR.fullmatch(str(path)) or _is_special(path):
            return "" if os.access(path, os.W_OK) else "may not be written to"
        while makes_folder and not folder.exists():
            folder = folder.parent
        if not folder.is_dir():
            return f"{shown(str(folder))} is not a folder" if folder.exists() else f"there is no folder {folder}"
        os.lstat(path)  # says when the name is too long
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    probe = folder / f".{secrets.token_hex(8)}.part"
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        probe.unlink(missing_ok=True)
    except OSError as error:
        return f"nothing can be written into {shown(str(folder))}: {error.strerror}"
    return ""
