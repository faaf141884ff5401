"""One process at a time, also where the file system has no locks."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from submission.errors import MissingPart

# What file systems without flock answer: network and FUSE ones, some of containers.
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}


@contextlib.contextmanager
def exclusive(path: Path, what: str, seconds: float, *, keep: bool = False) -> Iterator[None]:
    """Hold the lock whose file is `path`; `what` says what it protects, `keep` leaves the file there afterwards.

    Where there are no locks, a file beside it that only one process can make takes their place. `seconds` is how long
    to wait; below 0 without end, but for such a file, which may be left of a process that was killed elsewhere. Raises
    MissingPart when another process holds it still.
    """
    lock: BaseFileLock = FileLock(path, timeout=seconds, fallback_to_soft=False)
    instead: Path | None = None
    try:
        try:
            lock.acquire()
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            _remove(path)
            instead = path.with_name(f"{path.name}.part")  # as every reader ignores it
            seconds = seconds if seconds >= 0 else 60
            lock = SoftFileLock(instead, timeout=seconds)
            lock.acquire()
    except Timeout:
        said, get_it = f"another process has held {what} for {seconds:g} s", "try again"
        if instead is not None:
            said += ", as far as can be told: this file system has no locks"
            get_it += ", or remove that file when nothing else writes there"
        raise MissingPart(said, looked_for=instead or "", get_it=get_it) from None
    try:
        yield
    finally:
        if instead is None and not keep:
            _remove(path)  # before the lock: filelock sees when a file that it waited for is gone
        lock.release()


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # Windows removes no open file
        path.unlink()
