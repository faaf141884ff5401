"""Which device the networks run on, how much at once, and with which arithmetic."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor

from submission.errors import UsageError


def pick_device(name: str) -> torch.device:
    """The device called `name`; "auto" is CUDA where there is one, else the CPU. Raises UsageError for another.

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
    if device.type not in ("cpu", "cuda"):
        # Apple's MPS has no float64, which the exact resizes and the Fréchet distance need.
        raise UsageError(f"device {name!r}: the scorer runs on cpu and cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"device {name!r}: this machine has {torch.cuda.device_count()} CUDA devices; use --device cpu"
        )
    return device


# Images are worked on some at a time: in the CPU's caches, and on any device without float64 copies of a whole batch
# of 1024-pixel images, which would fill gigabytes.
PIXELS_AT_ONCE = {"cpu": 2**18, "cuda": 2**25}


def parts(images: Tensor) -> Sequence[Tensor]:
    """The images (B, C, H, W) in parts of PIXELS_AT_ONCE pixels; one image at least."""
    height, width = images.shape[-2:]
    return images.split(max(1, PIXELS_AT_ONCE[images.device.type] // (height * width)))


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


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """Where networks run: float32 as it is for "exact", bfloat16 where PyTorch's autocast holds it safe for "fast"."""
    return nullcontext() if precision == "exact" else torch.autocast(device.type, torch.bfloat16)
