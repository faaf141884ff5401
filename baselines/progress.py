"""Progress of drawing: a bar with rate and time left on stderr; where that is no terminal, one line at either end."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if not speed else f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each")


class Bar:
    """A context: `advance(n)` after each piece of work."""

    def __init__(self, description: str, total: int, done: int = 0) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task(description, total=total, completed=done)
        self._description, self._todo, self._done, self._start = description, total - done, 0, time.monotonic()

    def __enter__(self) -> Bar:
        self._say(f"{self._description}: {self._todo} to go")
        self._progress.start()
        self._start = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        self._say(f"{self._description}: {self._done} in {time.monotonic() - self._start:.1f} s")

    def advance(self, count: int = 1) -> None:
        self._done += count
        self._progress.advance(self._task, count)

    def _say(self, line: str) -> None:
        if not self._console.is_terminal:
            print(line, file=sys.stderr, flush=True)
