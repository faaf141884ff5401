"""Where things lie: the checkout, the data, the caches, the submissions."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def repo_root() -> Path:
    """The checkout that this package is used from."""
    return Path(__file__).resolve().parent.parent


def data_home() -> Path:
    """Drawn or downloaded data: `$DRAWOFF_DATA`, or `data/` in the checkout; one folder per competition in it."""
    chosen = os.environ.get("DRAWOFF_DATA")
    return Path(chosen).expanduser().absolute() if chosen else repo_root() / "data"


def cache_home() -> Path:
    """What can be made again: `$DRAWOFF_CACHE`, or `drawoff` in the platform's user cache folder."""
    chosen = os.environ.get("DRAWOFF_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "drawoff"


def submissions_home() -> Path:
    """Where generated submissions go: `submission/out/<competition>/<model>/`."""
    return repo_root() / "submission" / "out"


def readable(path: Path) -> Path:
    """`path` as a person would type it in this repository."""
    return path.relative_to(repo_root()) if path.is_relative_to(repo_root()) else path
