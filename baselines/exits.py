"""`os._exit` in a generator's code would end drawing as if all were well: no handler runs, and nothing is said."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn


class HardExit(SystemExit):
    """Raised by `os._exit` in the main thread of this process while `no_hard_exit` holds."""


@contextmanager
def no_hard_exit(what: str) -> Iterator[None]:
    """While it holds, `os._exit` raises HardExit; in another thread, which nobody asks, it ends the process with 4 and
    says so. Processes that were forked from this one end with it as ever."""
    before: Callable[[int], NoReturn] = os._exit
    process = os.getpid()

    def exit_loudly(status: int) -> NoReturn:
        if os.getpid() != process:
            before(status)
        if threading.current_thread() is threading.main_thread():
            raise HardExit(status)
        print(f"error: {what} ended the program, with os._exit({status!r}) in a thread", file=sys.stderr, flush=True)
        before(4)

    os._exit = exit_loudly
    try:
        yield
    finally:
        os._exit = before
