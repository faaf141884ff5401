"""One process at a time, also where the file system has no locks."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, SoftFileLock, Timeout

from submission.errors import MissingPart

# What file systems without flock answer: network and FUSE ones, some of containers.
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}


@contextlib.contextmanager
def exclusive(path: Path, what: str, seconds: float, *, keep: bool = False) -> Iterator[None]:
    """Hold the lock whose file is `path`; `what` says what it protects, `keep` leaves the file there afterwards.

    Where there are no locks, a file beside it that only one process can make takes their place. `seconds` is how long
    to wait; below 0 without end, but for such a file, which may be left of a process that was killed elsewhere.

    Raises:
        MissingPart: another process holds it still.
    """
    lock = _native(path, what, seconds)
    if lock is None:
        with _made(path, what, seconds):
            yield
        return
    try:
        yield
    finally:
        if not keep:
            _remove(path)  # before the lock: filelock sees when a file that it waited for is gone
        lock.release()


def _native(path: Path, what: str, seconds: float) -> FileLock | None:
    """The system's lock, None where the file system has none."""
    lock = FileLock(path, timeout=seconds, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        raise MissingPart(f"another process has held {what} for {seconds:g} s", get_it="try again") from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        _remove(path)
        return None
    return lock


@contextlib.contextmanager
def _made(path: Path, what: str, seconds: float) -> Iterator[None]:
    file = path.with_name(f"{path.name}.part")  # as every reader ignores it
    seconds = seconds if seconds >= 0 else 60
    lock = SoftFileLock(file, timeout=seconds)
    try:
        lock.acquire()
    except Timeout:
        raise MissingPart(
            f"another process has held {what} for {seconds:g} s, as far as can be told: this file system has no locks",
            looked_for=file,
            get_it="try again, or remove that file when nothing else writes there",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # Windows removes no open file
        path.unlink()
