"""What PyTorch and Accelerate ask before they use a GPU, answered as a machine with some would."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
import torch._dynamo  # before anything is replaced: it lists the functions of torch.cuda, each once
from torch.utils import _foreach_utils

from pretended_cuda.memory import Memory, tensors_in
from pretended_cuda.mode import Mode

GIB = 2**30
_NOTHING_TO_DO = """
    init _lazy_init synchronize empty_cache ipc_collect reset_peak_memory_stats manual_seed manual_seed_all
    set_rng_state set_rng_state_all
"""


class Generator(torch.Generator):
    """A random stream that says which device it is for."""

    def __new__(cls, device: Any = "cpu") -> Generator:
        made = super().__new__(cls, "cpu")
        made._device = torch.device(device)
        return made

    @property
    def device(self) -> torch.device:
        return self._device


class Cuda:
    """The pretended devices of a machine.

    Attributes:
        count: how many there are.
        capability: their compute capability: from (8, 0) on there are bfloat16 units.
        memory: which tensors are on them.
        current: the number of the current one.
    """

    def __init__(self, count: int, capability: tuple[int, int]) -> None:
        self.count, self.capability = count, capability
        self.memory, self.current = Memory(), 0

    def resolve(self, device: Any) -> torch.device:
        """A device as tensors name it, with its number. Raises RuntimeError for a number that is not there."""
        found = torch.device("cuda", device) if isinstance(device, int) else torch.device(device)
        if found.type != "cuda":
            return found
        index = self.current if found.index is None else found.index
        if index >= self.count:
            raise RuntimeError(f"CUDA error: invalid device ordinal ({index} of {self.count})")
        return torch.device("cuda", index)

    def set_device(self, device: Any) -> None:
        """As torch.cuda.set_device."""
        self.current = self.resolve(device).index

    def properties(self, device: Any = None) -> SimpleNamespace:
        """As torch.cuda.get_device_properties."""
        self.resolve("cuda" if device is None else device)
        major, minor = self.capability
        return SimpleNamespace(
            name="Pretended GPU", major=major, minor=minor, total_memory=80 * GIB, multi_processor_count=100
        )

    def exchange(self, index: int) -> int:
        """As torch.cuda._exchange_device, which `with torch.cuda.device(…)` uses."""
        before = self.current
        if index >= 0:
            self.set_device(index)
        return before

    def answers(self) -> dict[str, Any]:
        """What replaces the functions of torch.cuda."""
        nothing = lambda *args, **kwargs: None  # noqa: E731
        state = lambda device=None: torch.default_generator.get_state()  # noqa: E731
        return {
            "is_available": lambda: True,
            "device_count": lambda: self.count,
            "current_device": lambda: self.current,
            "set_device": self.set_device,
            "get_device_properties": self.properties,
            "get_device_capability": lambda device=None: self.capability,
            "get_device_name": lambda device=None: "Pretended GPU",
            "is_bf16_supported": lambda including_emulation=True: including_emulation or self.capability >= (8, 0),
            "is_initialized": lambda: True,
            "is_current_stream_capturing": lambda: False,
            "mem_get_info": lambda device=None: (79 * GIB, 80 * GIB),
            "memory_allocated": lambda device=None: 0,
            "max_memory_allocated": lambda device=None: 0,
            "memory_reserved": lambda device=None: 0,
            "get_rng_state": state,
            "get_rng_state_all": lambda: [state() for _ in range(self.count)],
            "_exchange_device": self.exchange,
            "_maybe_exchange_device": self.exchange,
            **dict.fromkeys(_NOTHING_TO_DO.split(), nothing),
        }


@contextlib.contextmanager
def pretended_cuda(count: int = 1, capability: tuple[int, int] = (8, 0)) -> Iterator[Cuda]:
    """A machine with `count` pretended GPUs, while it is entered; see the package for what it covers."""
    cuda = Cuda(count, capability)
    mode = Mode(cuda.memory, cuda.resolve)
    autocast_init = torch.amp.autocast_mode.autocast.__init__
    is_autocast_enabled, get_autocast_dtype = torch.is_autocast_enabled, torch.get_autocast_dtype
    load, group = torch.jit.load, _foreach_utils._group_tensors_by_device_and_dtype

    def on_cpu(device_type: str) -> str:
        return "cpu" if str(device_type).startswith("cuda") else device_type

    def autocast(self: Any, device_type: str, *args: Any, **kwargs: Any) -> None:
        autocast_init(self, on_cpu(device_type), *args, **kwargs)

    def jit_load(file: Any, map_location: Any = None, **kwargs: Any) -> Any:
        there = cuda.resolve("cpu" if map_location is None else map_location)
        module = load(file, map_location="cpu", **kwargs)
        if there.type == "cuda":
            for tensor in module.state_dict().values():
                cuda.memory.put(tensor, there)
        return module

    def scripted(module: torch.jit.ScriptModule, *args: Any) -> Any:
        """A TorchScript module's call, inside of which nothing is looked at."""
        tensors = [*tensors_in(args), *module.parameters(), *module.buffers()]
        there = mode.rules.common_device("forward", tensors)
        return mode.place(torch.nn.Module.__call__(module, *args), there, tensors)

    def grouped(tensorlistlist: list, with_indices: bool = False) -> dict:
        """The engine's groups under the devices that their first list pretends."""
        again: dict = defaultdict(lambda: ([[] for _ in tensorlistlist], []))
        for (_, dtype), (lists, indices) in group(tensorlistlist, True).items():
            for place, tensors in enumerate(zip(*lists, strict=True)):
                found = again[cuda.memory.device(tensors[0]), dtype]
                for one, tensor in zip(found[0], tensors, strict=True):
                    one.append(tensor)
                found[1].append(indices[place])
        return dict(again)

    with contextlib.ExitStack() as stack:
        for name, answer in cuda.answers().items():
            stack.enter_context(patch.object(torch.cuda, name, answer))
        for target, name, value in (
            (torch, "Generator", Generator),
            (torch, "is_autocast_enabled", lambda device_type="cpu": is_autocast_enabled(on_cpu(device_type))),
            (torch, "get_autocast_dtype", lambda device_type="cpu": get_autocast_dtype(on_cpu(device_type))),
            (torch.amp.autocast_mode.autocast, "__init__", autocast),
            (torch.jit, "load", jit_load),
            (torch.jit.ScriptModule, "__call__", scripted),
            (_foreach_utils, "_group_tensors_by_device_and_dtype", grouped),
            (torch.nn.utils.clip_grad, "_group_tensors_by_device_and_dtype", grouped),
            (torch.accelerator, "is_available", lambda: True),
            (torch.accelerator, "device_count", lambda: count),
            (torch.accelerator, "current_device_index", lambda: cuda.current),
            (torch.accelerator, "current_stream", lambda device=None: SimpleNamespace(is_capturing=lambda: False)),
            (torch.accelerator, "synchronize", lambda device=None: None),
            (torch.accelerator, "current_accelerator", lambda check_available=False: torch.device("cuda")),
        ):
            if hasattr(target, name):  # not every version of PyTorch has all of them
                stack.enter_context(patch.object(target, name, value))
        stack.enter_context(mode)
        yield cuda
