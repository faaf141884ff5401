"""Several processes score one submission: `torchrun --nproc-per-node 8 -m scorer …` or `accelerate launch -m scorer …`.

Each process measures a run of neighbouring images. The first one gathers their features, in prompt order, and makes the
scores of them. So every number is that of one process but for the rounding of other batches.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Int64
from torch import Tensor

from submission.launcher import Place, place

_ROWS = 4096  # sent at a time, so that a spooled table never has to fit into memory
_TIMEOUT = timedelta(hours=6)  # the others wait while the first computes statistics, or finishes a slower part


@dataclass(frozen=True)
class Processes(Place):
    """This process's place among those that score together."""

    def shard(self, n: int, rank: int | None = None) -> range:
        """Which of n images (or prompts) are this process's, or those of `rank`."""
        rank = self.rank if rank is None else rank
        return range(rank * n // self.count, (rank + 1) * n // self.count)

    def gather(self, value: Any) -> list[Any]:
        """Each process's value, a JSON one, in the order of ranks; in every process."""
        if self.count == 1:
            return [value]
        text = json.dumps(value).encode()
        longest = torch.tensor(len(text))
        dist.all_reduce(longest, dist.ReduceOp.MAX)
        data = torch.frombuffer(bytearray(text.ljust(int(longest))), dtype=torch.uint8)  # JSON may end in spaces
        parts = [torch.empty_like(data) for _ in range(self.count)]
        dist.all_gather(parts, data)
        return [json.loads(bytes(part.tolist())) for part in parts]

    def from_first(self, value: Any) -> Any:
        """The first process's value, a JSON one, in every process."""
        return self.gather(value if self.first else None)[0]

    def parts_of(
        self, tables: Mapping[str, Tensor], n: int, device: torch.device
    ) -> Iterator[tuple[str, Int64[Tensor, " b"], Tensor]]:
        """The tables of all processes, each of its own shard of n rows, in parts: name, rows, values.

        In the first process; every process has to run through it. A table that one process lacks is left out.
        """
        described = {name: (list(table.shape[1:]), str(table.dtype)) for name, table in tables.items()}
        parts = [part for part in self.gather(described) if part]  # a process without images has no tables
        for name in parts[0] if parts else ():
            if not all(name in part for part in parts):
                continue  # such as SSIM, which one shard may have and another not
            shape, dtype = parts[0][name]
            for rank in range(self.count):
                shard = self.shard(n, rank)
                for start in range(shard.start, shard.stop, _ROWS):
                    stop = min(start + _ROWS, shard.stop)
                    own = slice(start - shard.start, stop - shard.start)
                    if self.rank == rank == 0:
                        yield name, torch.arange(start, stop), tables[name][own]
                    elif self.rank == rank:
                        dist.send(tables[name][own].cpu().contiguous(), 0)
                    elif self.first:
                        part = torch.empty((stop - start, *shape), dtype=getattr(torch, dtype.removeprefix("torch.")))
                        dist.recv(part, rank)
                        yield name, torch.arange(start, stop), part.to(device) if part.is_floating_point() else part


ALONE = Processes()


def start() -> Processes:
    """Join the processes that a launcher started (it says so in the environment); `ALONE` when none did."""
    if place().count == 1:
        return ALONE
    # gloo moves features to the first process's memory wherever the networks run.
    dist.init_process_group("gloo", timeout=_TIMEOUT)
    return Processes(dist.get_rank(), dist.get_world_size())


def stop() -> None:
    """Leave the processes that `start` joined."""
    if dist.is_initialized():
        dist.destroy_process_group()
