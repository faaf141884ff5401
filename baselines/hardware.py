"""Where to compute and with which arithmetic, for drawing and for training: decided here, from what the chip has.

A model says which precisions it tolerates; the chip says which of them it has units for; `auto` takes the fastest that
both know. On a processor without bfloat16 units (AVX2 only) bfloat16 is emulated, more than 20 times slower than
float32, so it is float32 there.
"""

from __future__ import annotations

import os
import re
import sys
import timeit
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from submission.errors import MissingPart, UsageError
from submission.processor import bfloat16_units

if TYPE_CHECKING:  # torch takes seconds to import: the commands that need none of it must not pay for it
    import torch
    from accelerate import Accelerator

DEVICES = "auto, cpu, cuda, cuda:N or mps"
PRECISIONS = ("float32", "bfloat16", "float16")
_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,3})?|mps")
_MIXED = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}  # accelerate's names


@dataclass(frozen=True)
class Hardware:
    """A device and the arithmetic of the networks on it.

    Attributes:
        device: `cpu`, `cuda`, `cuda:N` or `mps`.
        precision: one of `PRECISIONS`.
        reason: why this precision, for the manifest.
    """

    device: str
    precision: str
    reason: str

    @property
    def kind(self) -> str:
        """`cpu`, `cuda` or `mps`."""
        return self.device.partition(":")[0]

    @property
    def dtype(self) -> torch.dtype:
        import torch

        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[self.precision]

    @property
    def memory_format(self) -> torch.memory_format:
        """The order of a convolution's values that is fastest for drawing here.

        Channels last on CUDA, and on a CPU in float32. A CPU's bfloat16 kernels have an order of their own, and MPS
        gains nothing. `make bench ARGS="drawing training"` measures it.
        """
        import torch

        last = self.kind == "cuda" or (self.kind == "cpu" and self.precision == "float32")
        return torch.channels_last if last else torch.contiguous_format

    def autocast(self) -> AbstractContextManager[object]:
        """Where float32 networks compute in `precision`, as far as PyTorch's autocast holds it safe."""
        import torch

        return nullcontext() if self.precision == "float32" else torch.autocast(self.kind, self.dtype)

    def accelerator(self) -> Accelerator:
        """accelerate's, on this device and in this precision; in a launcher's process on the GPU that is its own."""
        import torch
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState
        from accelerate.utils import InitProcessGroupKwargs

        from baselines.processes import TIMEOUT

        if self.kind == "cuda" and ":" in self.device:
            torch.cuda.set_device(self.device)
        AcceleratorState._reset_state()  # the stage before this one may have computed in another precision
        # Processes wait for the first one where it works alone.
        patience = InitProcessGroupKwargs(timeout=TIMEOUT)
        return Accelerator(cpu=self.kind == "cpu", mixed_precision=_MIXED[self.precision], kwargs_handlers=[patience])


def training_memory_format(kind: str) -> torch.memory_format:
    """The same for training: channels last on CUDA. On a CPU they lose more than they gain (0.87 to 1.06 times)."""
    import torch

    return torch.channels_last if kind == "cuda" else torch.contiguous_format


def resolve_device(device: str) -> str:
    """`auto` to `cuda` where there is one, else to `mps` where there is one, else to `cpu`.

    A launcher of several processes says in LOCAL_RANK which GPU is whose: `auto` and `cuda` are `cuda:N` then.

    Raises:
        UsageError: not one of `DEVICES`, or a number that is none of this machine's.
        MissingPart: `cuda` or `mps` was asked for and torch sees none.
    """
    if _DEVICE.fullmatch(device) is None:
        raise UsageError(f"the device {device!r} is unknown: it is one of {DEVICES}")
    if device == "cpu":
        return "cpu"
    import torch

    if device != "mps" and torch.cuda.is_available():
        count, rank = torch.cuda.device_count(), os.environ.get("LOCAL_RANK", "")
        if ":" in device and int(device.partition(":")[2]) >= count:
            numbers = "only cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
            raise UsageError(f"there is no device {device}: this machine has {numbers}")
        if ":" in device:
            return device
        return f"cuda:{int(rank) % count}" if rank.isdecimal() else "cuda"
    if device in ("auto", "mps") and torch.backends.mps.is_available():
        return "mps"
    if device == "auto":
        return "cpu"
    what, needs = "CUDA device", "a CUDA build of torch on a machine with an NVIDIA GPU and its driver"
    if device == "mps":
        what, needs = "Apple GPU (MPS)", "macOS on Apple silicon"
    raise MissingPart(
        f"no {what}", looked_for=f"torch {torch.__version__} sees none", get_it=f"use --device cpu, or {needs}"
    )


def decide(device: str = "auto", precision: str = "auto", tolerates: Sequence[str] = PRECISIONS) -> Hardware:
    """The device and precision to compute with.

    Args:
        device: one of `DEVICES`.
        precision: one of `PRECISIONS`, or `auto` for the fastest that is tolerated and that the chip has units for.
        tolerates: the precisions in which the model draws as it should; float32 is one of them.

    Raises:
        UsageError: an unknown device or precision, or one that the model does not tolerate.
        MissingPart: the device is not there.
    """
    if precision not in ("auto", *PRECISIONS):
        raise UsageError(f"the precision {precision!r} is unknown: it is auto or one of {', '.join(PRECISIONS)}")
    if precision != "auto" and precision not in tolerates:
        raise UsageError(f"this model does not compute in {precision}: it tolerates {', '.join(tolerates)}")
    where = resolve_device(device)
    if precision != "auto":
        return Hardware(where, precision, "asked for")
    for name, units in native(where).items():
        if name in tolerates:
            return Hardware(where, name, units)
    halves = " or ".join(name for name in ("bfloat16", "float16") if name in tolerates)
    return Hardware(where, "float32", f"no units for {halves}" if halves else "the model tolerates no other")


def native(device: str) -> dict[str, str]:
    """The half precisions that a resolved device has units for, fastest first, and what they are called."""
    kind = device.partition(":")[0]
    if kind == "cpu":
        units = bfloat16_units()
        return {"bfloat16": f"the processor has {units}"} if units else {}
    if kind == "mps":  # computes float16 no faster than float32
        return {}
    import torch

    major, minor = torch.cuda.get_device_capability(device)
    tensor_cores = f"tensor cores of compute capability {major}.{minor}"
    halves = ("bfloat16", "float16") if major >= 8 else ("float16",) if major == 7 else ()
    return dict.fromkeys(halves, tensor_cores)


def cost(hardware: Hardware) -> str | None:
    """What a half precision without units costs, measured by one convolution; None where the chip has the units."""
    if hardware.precision == "float32" or hardware.precision in native(hardware.device):
        return None
    import torch

    def seconds(dtype: torch.dtype) -> float:
        x = torch.randn(8, 80, 16, 16, device=hardware.device, dtype=dtype)
        weight = torch.randn(80, 80, 3, 3, device=hardware.device, dtype=dtype)
        convolution = partial(torch.nn.functional.conv2d, x, weight, padding=1)
        with torch.no_grad():
            return min(timeit.repeat(lambda: convolution().float().sum().item(), number=1, repeat=3))

    times = seconds(hardware.dtype) / seconds(torch.float32)
    return (
        f"{hardware.precision} is emulated on this {hardware.kind}: a convolution takes {times:.1f} times as long as"
        " in float32 (--precision auto takes what the chip has units for)"
    )


def print_cost(hardware: Hardware) -> None:
    """Print `cost` on stderr, if there is any."""
    if note := cost(hardware):
        print(f"note: {note}", file=sys.stderr, flush=True)
