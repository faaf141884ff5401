"""Batches on their way to the device: examples kept there where they fit, copies that nobody waits for."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor

RESIDENT_FRACTION = 0.25  # of the GPU's free memory that one table of examples may take


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` on `device`. A copy to a GPU does not wait for what the GPU still computes: it is from pinned memory."""
    if device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


class Examples:
    """One row for each example, picked by numbers that are on the CPU.

    On a GPU the rows are there once and for all, as they are (uint8 images, float16 states), where they fit into
    `RESIDENT_FRACTION` of its free memory; else each batch is copied.
    """

    def __init__(self, rows: Tensor, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda" and rows.nbytes < RESIDENT_FRACTION * torch.cuda.mem_get_info(device)[0]:
            rows = rows.to(device)
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, indices: Int64[Tensor, " b"]) -> Tensor:
        """The rows of a batch, on the device."""
        if self.rows.is_cuda:
            return self.rows[to_device(indices, self.device)]
        return to_device(self.rows[indices], self.device)
