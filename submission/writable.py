"""Whether files can be written where they were asked for: known before the work, not after minutes of it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Mapping
from pathlib import Path

from submission.errors import UsageError, shown


def check_writable(outputs: Mapping[str, Path | None], *, makes_folder: Collection[str] = ()) -> None:
    """Raise UsageError with all that keeps the files `outputs` (what asks for it -> where) from being written.

    A file is made beside each and removed, so nothing is left behind. The folders of those in `makes_folder` need not
    exist yet.
    """
    problems: list[str] = []
    for what, path in outputs.items():
        if path is not None and (reason := _reason(path, makes_folder=what in makes_folder)):
            problems.append(f"{what} {shown(str(path))}: {reason}")
    if problems:
        raise UsageError("\n  ".join(["nothing was done, because its result could not be written:", *problems]))


def _reason(path: Path, *, makes_folder: bool) -> str:
    """What keeps `path` from being written, or nothing."""
    folder = path.absolute().parent
    try:
        if path.is_dir():
            return "is a folder; name the file to write"
        if _is_special(path):
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


def _is_special(path: Path) -> bool:
    """Whether it is a device or a FIFO, which is written to as it is."""
    return path.exists() and not path.is_file()
