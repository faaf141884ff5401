"""Open a file of foreign origin: only a regular file, never through a link, never more bytes than allowed."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from submission.errors import CompetitionError, Problem

# Windows lacks these flags; there the check of the opened file's kind remains.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


class NotReadable(ValueError):
    """Why a file is not read: `what`, as the end of a sentence (it is a link, a FIFO, too large, gone), and a `hint` on
    what to do."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what, self.hint = what, hint

    def problem(self, name: str) -> Problem:
        return Problem(name, self.what, self.hint)


def open_regular(path: str | os.PathLike[str], *, follow: bool = False) -> BinaryIO:
    """The regular file `path`, opened to be read. Raises NotReadable for anything else.

    `follow=False` refuses a symbolic link at the last component. O_NONBLOCK keeps a FIFO from hanging the open.
    """
    try:
        descriptor = os.open(path, _FLAGS | (0 if follow else _NO_FOLLOW))
    except OSError as error:
        if not follow and Path(path).is_symlink():
            raise NotReadable("is a symbolic link") from None
        raise NotReadable(f"cannot be opened: {error.strerror or error}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotReadable("is not a regular file")
    return os.fdopen(descriptor, "rb")


def read_regular(path: str | os.PathLike[str], limit: int, *, follow: bool = False) -> bytes:
    """The bytes of the regular file `path`, at most `limit`. Raises NotReadable."""
    with open_regular(path, follow=follow) as file:
        try:
            # Not `limit + 1` at once: as much memory is taken as may be read.
            data = file.read(min(limit, os.fstat(file.fileno()).st_size) + 1)
        except OSError as error:
            raise NotReadable(f"cannot be read: {error.strerror or error}") from None
    if len(data) > limit:
        raise NotReadable(f"is larger than {limit:,} bytes")
    return data


def read_of_host(path: Path, limit: int, what: str = "") -> bytes:
    """`read_regular` of a file of the competition's own, whose links are followed. Raises CompetitionError."""
    try:
        return read_regular(path, limit, follow=True)
    except NotReadable as error:
        raise CompetitionError(f"{path}: {what}{error}") from None
