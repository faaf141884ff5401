"""`python -m scorer cache`: what is kept between runs, how much it is, and how to be rid of it."""

from __future__ import annotations

import argparse
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from submission import atomic, paths
from submission.errors import some

# By folder and by name: official weights may lie in the same folder, and whatever else somebody put there.
KEPT = {
    "references": ("features of references and prompts", re.compile(r"[a-z_]+-[0-9a-f]{32}\.safetensors")),
    "results": ("scorecards of submissions", re.compile(r"([0-9a-f]{32}){1,2}\.json")),
}


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m scorer cache",
        description="Show what is kept between runs. It is safe to remove at any time; it is made again when needed.",
    )
    parser.add_argument("--clear", action="store_true", help="remove it; weights and other files there stay")
    arguments = parser.parse_args(argv)
    print(f"{paths.cache_home()}  (set DRAWOFF_CACHE to move it)")
    for name, (what, pattern) in KEPT.items():
        folder = paths.cache_home() / name
        if folder.is_symlink():
            print(f"  {name + '/':<12} is a symbolic link: what it leads to is not looked at")
            continue
        files, others = _files(folder, pattern)
        size = sum(bytes_ for _, bytes_ in files)
        if arguments.clear:
            for file, _ in files:
                file.unlink(missing_ok=True)
            if folder.is_dir():
                atomic.remove_leftovers(folder)
        done = "removed " if arguments.clear else ""
        print(f"  {name + '/':<12} {done}{len(files)} files, {size / 2**20:.1f} MiB: {what}")
        if others:
            print(f"  {'':<12} not the cache's, left alone: {some(others, 3)}")
    return 0


def _files(folder: Path, pattern: re.Pattern[str]) -> tuple[list[tuple[Path, int]], list[str]]:
    """The cache's own files in `folder` with their bytes, and the names of what else is there."""
    ours, others = [], []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            status = path.lstat()
        except FileNotFoundError:  # another process has just replaced or removed it
            continue
        if stat.S_ISREG(status.st_mode) and pattern.fullmatch(path.name):
            ours.append((path, status.st_size))
        elif not atomic.is_leftover(path.name):
            others.append(path.name)
    return ours, others
