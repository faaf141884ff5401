"""`python -m scorer` or code of a training without seconds of imports: forked from a process which has done them.

For tests of what several processes, or killed ones, do to each other. That a command starts by itself is another test.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["scorer.__main__", "scorer.results", "open_clip", "baselines.training.trainer", "forked_command"]
)


def start(words: Sequence[str] | str, said_in: Path, **environment: str) -> BaseProcess:
    """A started process that scores with `words`, or runs the code that they are; its output goes to files.

    Args:
        words: the command's, or Python code.
        said_in: what it says is in `said_in`.out and `said_in`.err.
        environment: variables beside this process's.
    """
    process = _CONTEXT.Process(target=_run, args=(words, str(said_in), {**os.environ, **environment}))
    process.start()
    return process


def result(process: BaseProcess, said_in: Path) -> subprocess.CompletedProcess[str]:
    """What has become of it, once it has ended."""
    process.join()
    out, err = (Path(f"{said_in}.{stream}").read_text(encoding="utf-8") for stream in ("out", "err"))
    return subprocess.CompletedProcess([], process.exitcode or 0, out, err)


def _run(words: Sequence[str] | str, said_in: str, environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for stream, name in ((sys.stdout, "out"), (sys.stderr, "err")):
        os.dup2(os.open(f"{said_in}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), stream.fileno())
    if isinstance(words, str):
        import torch

        torch.set_num_threads(1)
        exec(words, {"__name__": "__main__"})
        return
    from scorer.__main__ import main
    from submission.errors import run

    sys.exit(run(main, words))
