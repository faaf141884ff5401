"""A progress bar on stderr for a long loop; where stderr is no terminal, one line says that it goes on."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

Item = TypeVar("Item")


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
        self._line = f"{description}: {total - done} to do" if total > done else ""

    def __enter__(self) -> Bar:
        if self._line and not self._console.is_terminal:
            print(self._line, file=sys.stderr, flush=True)
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self, count: int = 1) -> None:
        self._progress.advance(self._task, count)


def track(items: Iterable[Item], description: str) -> Iterator[Item]:
    """`items`, with a bar over them. They must have a length."""
    assert isinstance(items, Sized)
    with Bar(description, len(items)) as bar:
        for item in items:
            yield item
            bar.advance()
