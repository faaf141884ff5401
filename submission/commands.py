"""Commands in messages, as they work when they are pasted where the message was printed.

Nothing foreign belongs into one as it is: a name that somebody else chose may be a command of its own (`named`).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from submission import paths


def python() -> str:
    """This interpreter, as it is called from the current folder: `.venv/bin/python`, or `python` where that is it."""
    return _called(Path(sys.executable)) if sys.executable else "python"


def module(words: str) -> str:
    """`python -m WORDS`, with -P where the current folder is not ours: whatever lies there could be imported."""
    return f"{python()} {'' if _here() == paths.repo_root() else '-P '}-m {words}"


def script(name: str) -> str:
    """A command that was installed beside this interpreter, such as `hf`."""
    return _called(Path(sys.executable).with_name(name)) if sys.executable else name


def named(text: object, placeholder: str) -> str:
    """A path or name in a command: itself where it can only be one word, `placeholder` where it could be more."""
    return str(text) if re.fullmatch(r"[A-Za-z0-9_/.][A-Za-z0-9_/.+-]{0,199}", str(text)) else placeholder


def make(words: str, otherwise: str) -> str:
    """`make WORDS` where there is a checkout; what `python -m OTHERWISE` does in its place where there is none."""
    root = paths.checkout()
    if root is None:
        return module(otherwise)
    return f"make {words}" if root == _here() else f"make -C {shlex.quote(str(root))} {words}"


def data(competition: str) -> str:
    """What makes the data of a shipped competition, or says what of them is missing."""
    made = (paths.competitions() / competition / "prepare.py").is_file()
    otherwise = f"competitions.{competition}.prepare" if made else f"submission data --competition {competition}"
    return make(f"data COMPETITION={competition}", otherwise)


def drawing(model: str, weights: Path) -> str:
    """What draws with a model that was just trained."""
    return module(f"baselines {model} --weights {named(weights, 'FOLDER')}")


def environment(missing: str | None) -> str:
    """What brings a core package that should have come with the installation."""
    return make("env", f"pip install {named(missing, 'PACKAGE')}")


def install(packages: list[str]) -> str:
    """What installs the generators' packages: the project's own set in a checkout, these ones elsewhere."""
    root = paths.checkout()
    if root is None:
        return module(f"pip install {' '.join(packages)}")
    return module(f"pip install --editable {shlex.quote(f'{_near(root)}[baselines]')}")


def _called(path: Path) -> str:
    """A program by the shortest way of calling it from the current folder."""
    for name in (path.name, "python"):
        if (found := shutil.which(name)) and Path(found).absolute() == path:
            return name
    near = _near(path)
    return shlex.quote(near if os.sep in near else os.path.join(".", near))


def _near(path: Path) -> str:
    here = _here()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _here() -> Path:
    """The current folder, or no folder where it has been removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path()
