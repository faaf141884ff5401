"""A command of this project run by another one of it: a signal to stop this process is passed on to the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

from submission.paths import repo_root


def module(name: str, *arguments: str) -> list[str]:
    """The command `python -P -m NAME`, which imports nothing that lies in the current folder. For `environment`."""
    return [sys.executable, "-P", "-m", name, *arguments]


def environment() -> dict[str, str]:
    """This process's environment, in which `module` finds the packages of the very checkout that this is part of."""
    path = [str(repo_root()), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def exit_code(command: Sequence[str], **options: Any) -> int:
    """Run `command` to its end, with `options` of subprocess.Popen; its exit code, -N when signal N ended it."""
    process = subprocess.Popen(command, **options)  # noqa: S603 - our own modules, and no shell
    handles = threading.current_thread() is threading.main_thread()  # elsewhere Python sets no handlers
    if handles:
        before = signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGTERM))
    try:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the terminal interrupts the command as well, which prints that itself
                continue
    finally:
        if handles:
            signal.signal(signal.SIGTERM, before)
