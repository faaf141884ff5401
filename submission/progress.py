"""Progress of long work, on stderr: a bar on a terminal, lines elsewhere, so that a log file shows it too.

The lines: one at the start, one whenever both a tenth of the work and 30 seconds have passed since the last one, one at
the end. Of several processes that a launcher started, only the first one prints.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from submission import launcher

if TYPE_CHECKING:
    import rich.progress

Item = TypeVar("Item")
Result = TypeVar("Result")

LINES_PER_WORK = 10  # at most so many lines between the first and the last
SECONDS_BETWEEN_LINES = 30.0  # and none sooner than this after another


class Progress:
    """A context: `advance(n)` after each piece of work.

    Args:
        what: what is done, such as "drawing with monster".
        total: pieces of work in all; None where nobody knows.
        done: those that an earlier run has done, which say nothing about the rate.
        show: whether to say anything; in any case only the first of several processes does.
        clock: seconds since any moment.
    """

    def __init__(
        self,
        what: str,
        total: int | None,
        *,
        done: int = 0,
        show: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._total, self._done, self._begun_with = what, total, done, done
        self._clock, self._note = clock, ""
        self._show = show and launcher.place().first
        self._bar = _bar(what, total, done) if self._show and _on_a_terminal() else None

    def __enter__(self) -> Progress:
        self._start = self._last_line_at = self._clock()
        self._last_line_done = self._done
        if self._bar is not None:
            self._bar.start()
        else:
            self._say(self._count())
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        took = duration(self._clock() - self._start)
        if self._bar is not None:
            self._bar.stop()
        elif kind is None:
            self._say(f"{self._count()} in {took}", rate_text(self._rate()), self._note)
        elif not issubclass(kind, GeneratorExit):  # that is `track`'s consumer, which wanted no more
            self._say(f"stopped at {self._count()} after {took}")

    def advance(self, count: int = 1, note: str = "") -> None:
        """`count` more pieces are done; `note` is the latest news of the work, such as its loss."""
        self._done += count
        self._note = note or self._note
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], advance=count, note=self._note)
        elif self._a_line_is_due():
            rate, left = self._rate(), ""
            if self._total is not None and rate:
                left = f"{duration(max(0, self._total - self._done) / rate)} left"
            self._say(self._count(), rate_text(rate), left, self._note)
            self._last_line_at, self._last_line_done = self._clock(), self._done

    def _a_line_is_due(self) -> bool:
        if self._total is not None:
            since = self._done - self._last_line_done
            if since * LINES_PER_WORK < self._total or self._done >= self._total:  # the end has its own line
                return False
        return self._clock() - self._last_line_at >= SECONDS_BETWEEN_LINES

    def _rate(self) -> float:
        """Pieces per second of this run, 0 where nothing is known yet."""
        seconds, done = self._clock() - self._start, self._done - self._begun_with
        return done / seconds if done > 0 and seconds > 0 else 0.0

    def _count(self) -> str:
        return f"{self._done}" if self._total is None else f"{self._done} of {self._total}"

    def _say(self, *news: str) -> None:
        if self._show:
            print(f"{self._what}: {', '.join(filter(None, news))}", file=sys.stderr, flush=True)


def track(
    items: Iterable[Item],
    what: str,
    *,
    total: int | None = None,
    show: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Item]:
    """The items, with `what` ("scoring images") and how far it has come on stderr while they are consumed."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Progress(what, total, show=show, clock=clock) as progress:
        for item in items:
            yield item
            progress.advance()


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], what: str, *, show: bool = True
) -> list[Result]:
    """`function` of each item, as `track` shows, in as many threads as there are cores: Pillow's decoders release the
    interpreter's lock."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(track(pool.map(function, items), what, total=len(items), show=show))


def rate_text(rate: float | None) -> str:
    """Pieces per second, in the words that are read most easily; none where the rate is not known."""
    if not rate:
        return ""
    return f"{rate:.0f}/s" if rate >= 100 else f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"


def duration(seconds: float) -> str:
    """`9.2 s`, `1 min 05 s`, `2 h 03 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _on_a_terminal() -> bool:
    # Not rich's own answer: FORCE_COLOR, which continuous integration sets, would have it move bars in a log.
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _bar(what: str, total: int | None, done: int) -> rich.progress.Progress:
    """Rich's bar of one task, with rate, time left and a note."""
    from rich import progress
    from rich.console import Console
    from rich.text import Text

    class Rate(progress.ProgressColumn):
        def render(self, task: rich.progress.Task) -> Text:
            return Text(rate_text(task.finished_speed or task.speed))

    bar = progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(bar_width=None),
        progress.MofNCompleteColumn(),
        Rate(),
        progress.TextColumn("{task.fields[note]}", markup=False),
        progress.TimeRemainingColumn(elapsed_when_finished=True),
        console=Console(stderr=True),
    )
    bar.add_task(what, total=total, completed=done, note="")
    return bar
