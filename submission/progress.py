"""Progress on stderr: a bar on a terminal, one plain line elsewhere (a log file has no use for a moving bar)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")


def track(items: Iterable[Item], what: str, *, total: int | None = None, show: bool = True) -> Iterator[Item]:
    """The items, with `what` ("decoding images") and how far it has come on stderr while they are consumed."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    if not show:
        yield from items
        return
    if not sys.stderr.isatty():
        start, count = time.monotonic(), 0
        for item in items:
            yield item
            count += 1
        print(f"{what}: {count} in {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield from progress.track(items, total=total, description=what)
