"""`python -m scorer cache`: what is kept between runs, how much it is, and how to be rid of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from submission import paths

# By name, because official weights may lie in the same folder: they are never removed.
KEPT = {
    "references": "features of references and prompts",
    "results": "scorecards of submissions",
}


def main(argv: Sequence[str]) -> int:
    """Run the command in `argv`; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m scorer cache",
        description="Show what is kept between runs. It is safe to remove at any time; it is made again when needed.",
    )
    parser.add_argument("--clear", action="store_true", help="remove it; weights in the same folder stay")
    arguments = parser.parse_args(argv)
    print(f"{paths.cache_home()}  (set DRAWOFF_CACHE to move it)")
    for folder, what in KEPT.items():
        files = _files(paths.cache_home() / folder)
        size = sum(_size(file) for file in files)
        if arguments.clear:
            for file in files:
                file.unlink(missing_ok=True)
        done = "removed " if arguments.clear else ""
        print(f"  {folder + '/':<12} {done}{len(files)} files, {size / 2**20:.1f} MiB: {what}")
    return 0


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.is_file()) if folder.is_dir() else []


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # another process has just replaced or removed it
        return 0
