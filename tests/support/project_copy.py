"""A copy of the project to add something to, and its commands run in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from submission.paths import ROOMS

ROOT = Path(__file__).resolve().parents[2]


def project_copy(copy: Path, *rooms: str, without: tuple[str, ...] = ()) -> Path:
    """The folder `copy`, made of the rooms named, without what their use made; the other rooms are links to ours."""
    copy.mkdir()
    made = shutil.ignore_patterns("__pycache__", "out", "leaderboard.*", "*.lock", *without)
    for room in ROOMS:
        if room in rooms:
            shutil.copytree(ROOT / room, copy / room, ignore=made)
        else:
            (copy / room).symlink_to(ROOT / room)
    for name in ("drawoff.py", "targets.py", "pyproject.toml"):
        shutil.copy(ROOT / name, copy)
    return copy


def run(project: Path, *words: str, **variables: str) -> str:
    """What `python WORDS` prints in the copy, with the Makefile's variables. AssertionError when it fails."""
    environment = {**os.environ, "DEVICE": "cpu", "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1", **variables}
    environment |= {"PYTHONPATH": str(project), "DRAWOFF_DATA": str(project / "data")}
    done = subprocess.run([sys.executable, *words], cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
