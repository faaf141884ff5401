"""Where things lie: the checkout, the data, the caches, the submissions."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from pathlib import Path

from submission.image_names import why_unsafe

# The packages of this project.
ROOMS = ("submission", "competitions", "scorer", "baselines", "leaderboard", "experiments")


class NoHome(RuntimeError):
    """This user has no home folder: there is no HOME, and the system does not know the user either."""


def repo_root() -> Path:
    """The folder that the packages are in: a checkout, or where pip puts packages."""
    return Path(__file__).resolve().parent.parent


def checkout() -> Path | None:
    """The checkout that the packages are used from; None when they are installed without it."""
    root = repo_root()
    return root if (root / "pyproject.toml").is_file() and (root / "targets.py").is_file() else None


def working_folder() -> Path:
    """Where what users make goes: the checkout; the current folder where the packages are installed without one."""
    return checkout() or Path.cwd()


def competitions() -> Path:
    """The shipped competitions, one folder each."""
    return repo_root() / "competitions"


def data_home() -> Path:
    """Drawn or downloaded data, one folder per competition in it: `$DRAWOFF_DATA`, or `data/` in the checkout, or
    `drawoff` in the platform's folder for users' data."""
    if chosen := os.environ.get("DRAWOFF_DATA"):
        return Path(chosen).expanduser().absolute()
    if root := checkout():
        return root / "data"
    return _users_folder("Application Support", "XDG_DATA_HOME", ".local/share")


def cache_home() -> Path:
    """What can be made again: `$DRAWOFF_CACHE`, or `drawoff` in the platform's user cache folder.

    Raises NoHome.
    """
    if chosen := os.environ.get("DRAWOFF_CACHE"):
        return Path(chosen).expanduser().absolute()
    try:
        return _users_folder("Caches", "XDG_CACHE_HOME", ".cache")
    except RuntimeError:
        raise NoHome("a folder for what is kept between runs: this user has no home") from None


def _users_folder(of_mac: str, variable: str, otherwise: str) -> Path:
    """`drawoff` in the platform's folder for one kind of users' files. Raises RuntimeError where there is no home."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / of_mac
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get(variable) or Path.home() / otherwise)
    return base / "drawoff"


def submissions_home() -> Path:
    """Where generated submissions go, as `<competition>/<model>/`: `submission/out` in the checkout, or `submissions`
    in the current folder."""
    root = checkout()
    return root / "submission" / "out" if root else Path.cwd() / "submissions"


def board() -> Path:
    """The local board: in the checkout's `leaderboard/`, or in the current folder."""
    root = checkout()
    return root / "leaderboard" / "leaderboard.csv" if root else Path.cwd() / "leaderboard.csv"


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
    """`path` as a person would type it in the working folder."""
    return path.relative_to(working_folder()) if path.is_relative_to(working_folder()) else path
