"""Which device the networks run on, how much at once, and with which arithmetic."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor

from submission.errors import UsageError


def pick_device(name: str) -> torch.device:
    """The device called `name`; "auto" is CUDA where there is one, else the CPU. Raises UsageError for another.

    "mps" is the CPU too, and a line on stderr says why, so that one DEVICE serves drawing and scoring.

    A launcher of several processes says in LOCAL_RANK which GPU is whose; "auto" and "cuda" follow it.
    """
    if name in ("auto", "cuda") and torch.cuda.is_available():
        rank = os.environ.get("LOCAL_RANK")
        return torch.device("cuda" if rank is None else f"cuda:{int(rank) % torch.cuda.device_count()}")
    if name == "auto":
        return torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"device {name!r}: write auto, cpu, cuda or cuda:N") from None
    if device.type == "mps" and torch.backends.mps.is_available():
        print("note: scoring on the CPU: MPS lacks float64, which resizes and distances need", file=sys.stderr)
        return torch.device("cpu")
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"device {name!r}: the scorer runs on cpu and cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"device {name!r}: this machine has {torch.cuda.device_count()} CUDA devices; use --device cpu"
        )
    return device


# Images are worked on some at a time: in the CPU's caches, and on any device without float64 copies of a whole batch
# of 1024-pixel images, which would fill gigabytes.
PIXELS_AT_ONCE = {"cpu": 2**18, "cuda": 2**25}


def in_parts(function: Callable[..., Tensor], *images: Tensor) -> Tensor:
    """`function(*images)`, for batches (B, C, H, W) of one size, called with PIXELS_AT_ONCE pixels of each at a time.

    One image at least; `function` returns a row for each image, whatever the others are.
    """
    height, width = images[0].shape[-2:]
    count = max(1, PIXELS_AT_ONCE[images[0].device.type] // (height * width))
    return torch.cat([function(*some) for some in zip(*(batch.split(count) for batch in images), strict=True)])


@contextmanager
def exact_float32() -> Iterator[None]:
    """Float32 products as IEEE says. PyTorch's default rounds those of CUDA convolutions to TF32's 10 bits."""
    matmul = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = matmul


PRECISIONS = ("exact", "fast")


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Where networks run: float32 as it is for "exact", bfloat16 where PyTorch's autocast holds it safe for "fast"."""
    return nullcontext() if precision == "exact" else torch.autocast(device.type, torch.bfloat16)
