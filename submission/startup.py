"""What holds before a command's `main` is called: while its modules are still being imported."""

from __future__ import annotations

import os
import sys
from types import TracebackType


def watch_imports() -> None:
    """Let what happens during imports end in the same words and exit codes as later (`submission.errors.run`)."""
    sys.excepthook = _ended
    import submission.errors  # noqa: F401 -- while it can be imported: a package that failed is imported anew


def _ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if os.environ.get("DRAWOFF_TRACEBACK", "") not in ("", "0"):
        sys.__excepthook__(kind, error, trace)
        return
    code = 4
    explain = getattr(sys.modules.get("submission.errors"), "explain", None)
    if isinstance(error, KeyboardInterrupt):
        os.write(2, b"interrupted\n")
        code = 130
    elif isinstance(error, Exception) and explain is not None:
        code = explain(error)
    else:
        sys.__excepthook__(kind, error, trace)
    os._exit(code)  # the interpreter's own exit code would be 1, which means "does not beat the gate"
