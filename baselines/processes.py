"""Several processes draw one submission: `accelerate launch -m baselines MODEL` or `torchrun -m baselines MODEL`.

Each draws its share, on the GPU that is its own (`baselines.hardware`), into one folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from baselines.generator import GeneratorError
from submission.launcher import Place

_TIMEOUT = timedelta(hours=6)  # the others wait while the slowest draws


def shard_of(shard: tuple[int, int], place: Place) -> tuple[int, int]:
    """The share of `shard`, (I, N), that is this process's: every (N count)-th image."""
    first, step = shard
    return first + step * place.rank, step * place.count


@contextmanager
def meeting_at_the_end(place: Place) -> Iterator[None]:
    """Leaves the block when every process has left it. Raises GeneratorError where another failed."""
    if place.count == 1:
        yield
        return
    import torch.distributed as dist  # takes seconds

    dist.init_process_group("gloo", timeout=_TIMEOUT)  # on the CPU, wherever the networks run
    try:
        yield
        try:
            dist.barrier()
        except RuntimeError:
            raise GeneratorError("another process has stopped; the same command goes on from there") from None
    finally:
        dist.destroy_process_group()
