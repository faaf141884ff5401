"""Which of several processes this is: what `torchrun` and `accelerate launch` say in the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """This process's `rank` among `count` that were launched together, 0 of 1 where none were."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process prints, and writes what only one may write."""
        return self.rank == 0


def place(environment: Mapping[str, str] | None = None) -> Place:
    """This process's place. A variable alone, such as a WORLD_SIZE that a cluster left there, launches nothing."""
    environment = os.environ if environment is None else environment
    rank, count = environment.get("RANK", ""), environment.get("WORLD_SIZE", "")
    together = "MASTER_ADDR" in environment and "MASTER_PORT" in environment
    if not (together and rank.isdecimal() and count.isdecimal() and int(rank) < int(count)):
        return Place()
    return Place(int(rank), int(count))
