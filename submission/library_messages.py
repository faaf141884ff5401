"""Messages of libraries that are not shown: their bars, warnings, and log lines below errors."""

from __future__ import annotations

import logging
import os
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from submission.paths import ROOMS, repo_root

# Those that log: what this project installs, and what that brings along.
LIBRARIES = (
    "PIL", "accelerate", "anyascii", "cleanfid", "diffusers", "filelock", "fsspec", "httpx", "huggingface_hub",
    "jaxtyping", "matplotlib", "numpy", "open_clip", "pandas", "pydantic", "rich", "safetensors", "scipy", "shtab",
    "tensorboardX", "timm", "tokenizers", "torch", "torchmetrics", "torchvision", "transformers",
)  # fmt: skip
# These set their logger's level themselves when they are imported, to what the variable says.
_VERBOSITY = {
    "diffusers": "DIFFUSERS_VERBOSITY",
    "huggingface_hub": "HF_HUB_VERBOSITY",
    "transformers": "TRANSFORMERS_VERBOSITY",
}
_BARS = ("diffusers.utils.logging", "transformers.utils.logging")  # the modules in which `_tqdm_active` says whether

_OURS = tuple(f"{repo_root() / room}{os.sep}" for room in ROOMS)
_INSTALLED = tuple({f"{Path(sysconfig.get_path(name))}{os.sep}" for name in ("stdlib", "purelib", "platlib")})


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Within it, libraries show no bars, no warnings, and in their logs errors only; afterwards all is as it was.

    What was asked for stays: `python -W` and PYTHONWARNINGS, a level that was set for a library, whatever its users'
    own code warns of or logs. A warning that is to be an error is one.
    """
    with ExitStack() as stack:
        _silence_warnings(stack)
        _silence_logs(stack)
        for name in _BARS:
            module = sys.modules.get(name)
            if module is not None and getattr(module, "_tqdm_active", False):
                _set(stack, module, "_tqdm_active", False)
        yield


def _silence_warnings(stack: ExitStack) -> None:
    if sys.warnoptions:  # asked for: python -W, PYTHONWARNINGS
        return
    before = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], filename: str, *place: Any, **more: Any) -> None:
        if not _is_foreign(filename):
            before(message, category, filename, *place, **more)

    _set(stack, warnings, "showwarning", show)


def _silence_logs(stack: ExitStack) -> None:
    # Libraries without a logger of their own log as the root; one without any handler ends in `lastResort`.
    for place in (logging.getLogger(), logging.lastResort):
        if place is not None and _says_an_error not in place.filters:
            place.addFilter(_says_an_error)
            stack.callback(place.removeFilter, _says_an_error)
    for name in LIBRARIES:
        logger, variable = logging.getLogger(name), _VERBOSITY.get(name)
        if variable is not None:
            if os.environ.get(variable):
                continue
            os.environ[variable] = "error"
            stack.callback(os.environ.pop, variable, None)
        if logger.level in (logging.NOTSET, logging.WARNING):
            # One that is imported meanwhile would have come to warnings by itself.
            stack.callback(logger.setLevel, logging.WARNING if variable else logger.level)
            logger.setLevel(logging.ERROR)


def _says_an_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR or not _is_foreign(record.pathname)


def _is_foreign(filename: str) -> bool:
    """Whether a file belongs to an installed library or to this project, and not to whoever uses them."""
    return filename.startswith((*_OURS, *_INSTALLED, "<frozen "))


def _set(stack: ExitStack, module: ModuleType, name: str, value: object) -> None:
    stack.callback(setattr, module, name, getattr(module, name))
    setattr(module, name, value)
