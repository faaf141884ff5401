"""Where things lie: the checkout, the data, the caches, the submissions."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from pathlib import Path

from submission.names import why_unsafe


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


def submission_folder(competition: str, model: str, seed: int = 0) -> Path:
    """Where the drawing of a model goes when nobody says where.

    `ideas/my_model.py:MyModel` with seed 3 draws for `pets` into `pets/my_model-MyModel-seed3`. Whatever the names are,
    the folder lies two levels below `submissions_home()`.
    """
    path, colon, class_name = model.rpartition(":") if re.search(r"\.py:\w*$", model) else (model, "", "")
    stem = re.split(r"[/\\]", path.rstrip("/\\"))[-1].removesuffix(".py")
    name = f"{stem}-{class_name}" if colon else stem
    return submissions_home() / _one_folder(competition) / (_one_folder(name) + (f"-seed{seed}" if seed else ""))


def _one_folder(name: str) -> str:
    """`name` when it is safe as a folder's name on every system; otherwise what of it is, and a hash of the whole."""
    if not why_unsafe(f"{name}.png") and len(name.encode()) <= 100 and name.strip(" .") == name:
        return name
    safe = re.sub(r"[^\w.+-]+", "-", name.encode("ascii", "ignore").decode())[:60].strip("-.")
    return f"{safe or 'model'}-{hashlib.sha256(name.encode(errors='surrogateescape')).hexdigest()[:8]}"


def readable(path: Path) -> Path:
    """`path` as a person would type it in this repository."""
    return path.relative_to(repo_root()) if path.is_relative_to(repo_root()) else path
