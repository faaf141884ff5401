"""Which device a tensor is on: a table of storages, because every tensor here is an ordinary one on the CPU.

The storage, not the tensor, has the device: views share it, and `parameter.data = other` takes it over, as on a GPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

_PURGE_EVERY = 4096  # entries


class Memory:
    """The pretended devices' memory.

    Attributes:
        touched: the numbers of the devices on which something was allocated.
    """

    # The weak reference keeps a freed storage's address from being given to another one. One table for all machines:
    # what the code under test keeps for a device in a cache is there in the next test too.
    _where: ClassVar[dict[int, tuple[StorageWeakRef, torch.device]]] = {}
    _purge_at: ClassVar[int] = _PURGE_EVERY

    def __init__(self) -> None:
        self.touched: set[int] = set()

    def device(self, tensor: Tensor) -> torch.device:
        """Where `tensor` pretends to be."""
        key = _storage(tensor)
        found = self._where.get(key) if key is not None else None
        return tensor.device if found is None else found[1]

    def knows(self, tensor: Tensor) -> bool:
        """Whether `tensor` is on a pretended device."""
        return _storage(tensor) in self._where

    def put(self, tensor: Tensor, device: torch.device) -> None:
        """From now on `tensor`'s storage is on `device`, "cuda:N"."""
        self.touched.add(device.index)
        key = _storage(tensor)
        if key is None:
            return
        if len(self._where) >= Memory._purge_at:
            for freed in [key for key, (reference, _) in self._where.items() if reference.expired()]:
                del self._where[freed]
            Memory._purge_at = 2 * len(self._where) + _PURGE_EVERY
        self._where[key] = StorageWeakRef(tensor.untyped_storage()), device


def _storage(tensor: Tensor) -> int | None:
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # oneDNN's own layout, sparse tensors
        return None


def tensors_in(*values: Any) -> Iterator[Tensor]:
    """Every tensor in arguments or results: lists, tuples and dicts are searched."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors_in(*value)
        elif isinstance(value, dict):
            yield from tensors_in(*value.values())


def storages_of(tensors: Iterable[Tensor]) -> set[int | None]:
    """The storages behind `tensors`."""
    return {_storage(tensor) for tensor in tensors}
