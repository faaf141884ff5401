"""Per-image results on their way from the batches to the statistics, in constant memory whatever their number."""

from __future__ import annotations

import mmap
import os
import tempfile

import torch
from jaxtyping import Int64
from torch import Tensor

# A table up to this size stays in memory, on the device: Inception's 2048 features of 16,384 images. A larger one is
# spooled to a file in the temporary folder ($TMPDIR), from which the statistics read it in parts.
IN_MEMORY_BYTES = 2**27


class Rows:
    """Tables of n rows that are filled batch by batch in any order and read back in prompt order.

    `first` is the place of the first row among all images, for a process that measures a part of them.
    """

    def __init__(self, n: int, first: int = 0) -> None:
        self.n, self.first = n, first
        self._tables: dict[str, Tensor] = {}
        self._filled: dict[str, int] = {}
        self._files: dict[str, mmap.mmap] = {}

    def add(self, name: str, rows: Int64[Tensor, " b"], values: Tensor) -> None:
        """Put `values` (B, …) where the images `rows` (B,) belong."""
        if name not in self._tables:
            self._tables[name] = self._new(name, values)
            self._filled[name] = 0
        table = self._tables[name]
        # One copy to the table's device; nothing waits for it.
        table[(rows - self.first).to(table.device, non_blocking=True)] = values.to(table.device)
        self._filled[name] += len(values)
        if name in self._files and hasattr(mmap, "MADV_DONTNEED"):
            self._files[name].madvise(mmap.MADV_DONTNEED)  # written pages go to the file's cache, not to our memory

    def tensors(self) -> dict[str, Tensor]:
        """Each complete table, (N, …) in prompt order; one that lacks rows is left out."""
        return {name: table for name, table in self._tables.items() if self._filled[name] == self.n}

    def _new(self, name: str, values: Tensor) -> Tensor:
        shape = (self.n, *values.shape[1:])
        n_bytes = values[0].numel() * values.element_size() * self.n
        if n_bytes <= IN_MEMORY_BYTES:
            return torch.empty(shape, dtype=values.dtype, device=values.device)
        tensor, self._files[name] = spooled(shape, values.dtype)
        return tensor


def spooled(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[Tensor, mmap.mmap]:
    """An empty CPU tensor whose values are in a file without a name, which goes with the tensor; and its mapping."""
    n_bytes = torch.Size(shape).numel() * dtype.itemsize
    with tempfile.TemporaryFile(prefix="drawoff-") as file:
        _reserve(file.fileno(), n_bytes)
        mapping = mmap.mmap(file.fileno(), n_bytes)
    return torch.frombuffer(mapping, dtype=dtype).view(shape), mapping


def _reserve(descriptor: int, n_bytes: int) -> None:
    """Give the file its length and its place on the disk: where that is full, writing through a mapping would end the
    process without a word."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, n_bytes)
        else:
            os.ftruncate(descriptor, n_bytes)
    except OSError as error:
        error.filename = f"{tempfile.gettempdir()} ({n_bytes >> 20} MiB for features; TMPDIR names another folder)"
        raise
