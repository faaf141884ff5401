"""Files that a command would write over what it reads or keeps: refused before the work."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from submission.errors import UsageError, shown


def check(outputs: Mapping[str, Path | None], kept: Mapping[str, Path | None]) -> None:
    """Raises UsageError for an output, named by its option, that is a kept file or another output.

    Two paths are the same file through links of both kinds, `..`, and other spellings that the file system takes for
    the same. A folder among the kept ones is kept with the files that lie directly in it.
    """
    problems = []
    written: list[tuple[str, Path]] = [(option, path) for option, path in outputs.items() if path is not None]
    for place, (option, path) in enumerate(written):
        if _is_special(path):
            continue
        for what, other in [*((option, path) for option, path in written[:place]), *kept.items()]:
            if other is not None and _same(path, other):
                problems.append(f"{option} {shown(str(path))} is {what}, which it would replace")
            elif other is not None and other.is_dir() and path.resolve().parent == other.resolve():
                problems.append(f"{option} {shown(str(path))} lies in {what}: write it elsewhere")
    if problems:
        raise UsageError("\n  ".join(problems))


def _same(path: Path, other: Path) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:  # one of them is not there yet
        return path.resolve() == other.resolve()


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()
