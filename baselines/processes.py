"""Several processes draw one submission: `accelerate launch -m baselines MODEL` or `torchrun -m baselines MODEL`.

Each draws its part, on the GPU that is its own (`baselines.hardware`), into one folder. Of a training's processes the
first one does what one alone may do: encode once, write the finished model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from baselines.generator import GeneratorError
from submission.launcher import Place

if TYPE_CHECKING:
    from accelerate import Accelerator

TIMEOUT = timedelta(hours=6)  # the others wait while the slowest draws, or the first works alone


def shard_of(shard: tuple[int, int], place: Place) -> tuple[int, int]:
    """The part of `shard`, (I, N), that is this process's: every (N count)-th image."""
    first, step = shard
    return first + step * place.rank, step * place.count


@contextmanager
def together(place: Place) -> Iterator[Callable[[int], int]]:
    """A context with a function that waits for all processes and returns the sum of what each gives it.

    It raises GeneratorError where another process failed.
    """
    if place.count == 1:
        yield lambda own: own
        return
    import torch
    import torch.distributed as dist  # takes seconds

    dist.init_process_group("gloo", timeout=TIMEOUT)  # on the CPU, wherever the networks run

    def total(own: int) -> int:
        every = torch.tensor(own)
        try:
            dist.all_reduce(every)
        except RuntimeError:
            raise GeneratorError("another process has stopped; the same command goes on from there") from None
        return int(every)

    try:
        yield total
    finally:
        dist.destroy_process_group()


def in_the_first(accelerator: Accelerator, work: Callable[[], object]) -> None:
    """`work()` in a training's first process, while the others wait for its end."""
    if accelerator.is_main_process:
        work()
    accelerator.wait_for_everyone()
