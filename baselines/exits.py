"""Ways of ending this process that no handler sees, in a generator's code: `os._exit`, `os.exec…`, exits of threads.

They would end drawing as if all were well, and nothing would be said.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from submission.errors import say, shown

_ENDS = ("_exit", "execv", "execve")  # the other forms of exec call these two
_EXIT_CODE = 4


class HardExit(SystemExit):
    """Raised in the main thread by what would have ended the process, `code` with its name: `os._exit(0)`."""


@contextmanager
def no_hard_exit(what: str) -> Iterator[None]:
    """While it holds, `os._exit` and `os.exec…` raise HardExit; in another thread, which nobody asks, they end the
    process with 4 and say so. Processes that were forked from this one end with them as ever. A thread's `sys.exit`
    ends that thread alone, and its words are printed."""
    before: dict[str, Callable[..., NoReturn]] = {name: getattr(os, name) for name in _ENDS}
    hook = threading.excepthook
    process = os.getpid()

    def loud(name: str) -> Callable[..., NoReturn]:
        def end(first: Any, *rest: Any) -> NoReturn:
            if os.getpid() != process:
                before[name](first, *rest)
            if threading.current_thread() is threading.main_thread():
                raise HardExit(f"os.{name}({first!r})")
            say(f"error: {what}: it ended the program in a thread: {shown(f'os.{name}({first!r})')}")
            before["_exit"](_EXIT_CODE)

        return end

    def tell(arguments: threading.ExceptHookArgs) -> None:
        if isinstance(arguments.exc_value, SystemExit) and arguments.exc_value.code not in (None, 0):
            say(f"a thread of the generator ended itself: {shown(str(arguments.exc_value.code), 2000)}")
        hook(arguments)

    for name in _ENDS:
        setattr(os, name, loud(name))
    threading.excepthook = tell
    try:
        yield
    finally:
        threading.excepthook = hook
        for name, function in before.items():
            setattr(os, name, function)


def keep_exit_code() -> None:
    """From now on `os._exit` ends this process with 4: what a generator left to be run at the end decides nothing."""
    before: Callable[[int], NoReturn] = os._exit
    process = os.getpid()
    os._exit = lambda status: before(_EXIT_CODE if os.getpid() == process else status)
