"""Every call of PyTorch's Python interface, looked at first: what CUDA refuses is refused, the rest runs on the CPU."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pretended_cuda.memory import Memory, storages_of, tensors_in
from pretended_cuda.rules import Rules

# What asks about a tensor and reads no values: nothing to check, nothing to place.
_PLAIN = """
    shape.__get__ dtype.__get__ ndim.__get__ requires_grad.__get__ requires_grad.__set__ grad_fn.__get__
    is_leaf.__get__ layout.__get__ is_sparse.__get__ is_quantized.__get__ is_meta.__get__ is_mkldnn.__get__
    names.__get__ itemsize.__get__ nbytes.__get__ _version.__get__ size dim ndimension numel nelement __len__ stride
    storage_offset is_floating_point is_complex is_contiguous element_size is_signed is_inference data_ptr
    untyped_storage _typed_storage storage result_type can_cast promote_types is_same_size is_tensor is_storage
    _has_compatible_shallow_copy_type retain_grad register_hook __hash__ __dir__ __format__ __repr__ device finfo
    _parse_to iinfo is_grad_enabled is_autocast_enabled get_autocast_dtype is_autocast_cache_enabled
"""
PLAIN = frozenset(_PLAIN.split())
# `add_` and `+=`
_IN_PLACE = re.compile(r"\w*[^_]_|__i(add|sub|mul|truediv|floordiv|mod|pow|and|or|xor|lshift|rshift|matmul)__")


class Mode(TorchFunctionMode):
    """The pretended devices, while it is entered."""

    def __init__(self, memory: Memory, resolve: Callable[[Any], torch.device]) -> None:
        super().__init__()
        self.memory, self.rules, self._resolve = memory, Rules(memory), resolve
        self._special = {
            "device.__get__": lambda func, tensor: memory.device(tensor),
            "is_cuda.__get__": lambda func, tensor: memory.device(tensor).type == "cuda",
            "is_cpu.__get__": lambda func, tensor: memory.device(tensor).type == "cpu",
            "get_device": self._get_device,
            "grad.__get__": self._grad,
            "grad.__set__": self._set_grad,
            "data.__set__": lambda func, tensor, value: func(tensor, value),
            "to": self._to,
            "cuda": self._cuda,
            "cpu": lambda func, tensor, *args, **kwargs: self._move(tensor, torch.device("cpu")),
            "copy_": self._copy,
            "pin_memory": self._pin,
            "is_pinned": lambda func, tensor, *args: getattr(tensor, "_pinned", False),
            "numpy": self._numpy,
            "__array__": self._numpy,
            "__getitem__": self._getitem,
            "__setitem__": self._setitem,
            "index_put_": self._index_put,
            "as_tensor": self._as_tensor,
            "asarray": self._as_tensor,
            "tensor": self._tensor,
            "__deepcopy__": self._deepcopy,
        }

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", str(func))
        if name in ("__get__", "__set__", "__delete__"):
            name = f"{func.__self__.__name__}.{name}"
        if name in PLAIN:
            return func(*args, **kwargs)
        special = self._special.get(name)
        return self.call(func, name, args, kwargs) if special is None else special(func, *args, **kwargs)

    def call(self, func: Callable, name: str, args: tuple, kwargs: dict) -> Any:
        """Any operation: checked, run on the CPU, its results placed."""
        tensors = list(tensors_in(args, kwargs))
        written = [*tensors_in(kwargs.get("out"))]
        if _IN_PLACE.fullmatch(name):
            written += tensors_in(args[:1])
        there = self.rules.common_device(name, tensors, written)
        asked = kwargs.get("device")
        if asked is not None:
            there = self._resolve(asked)
            if there.type == "cuda":
                kwargs = {**kwargs, "device": "cpu"}
        if kwargs.pop("pin_memory", False):
            self.memory.touched.add(self._resolve("cuda").index)
        if there.type == "cuda":
            self.rules.no_integers(name, tensors)
        for value in (*args, *kwargs.values()):
            if isinstance(value, torch.Generator):
                self.rules.generator(value, there)
        result = func(*args, **kwargs)
        return self.place(result, there, tensors)

    def place(self, result: Any, there: torch.device, inputs: list[Tensor]) -> Any:
        """`result`, with what is new in it on the device `there`."""
        if there.type != "cuda":
            return result
        theirs = storages_of(inputs)
        for tensor in tensors_in(result):
            if not self.memory.knows(tensor) and not storages_of([tensor]) & theirs:
                self.memory.put(tensor, there)
        return result

    # Where a tensor is, and moving it

    def _get_device(self, func: Callable, tensor: Tensor) -> int:
        here = self.memory.device(tensor)
        return here.index if here.type == "cuda" else -1

    def _move(
        self,
        tensor: Tensor,
        device: torch.device | None,
        dtype: torch.dtype | None = None,
        non_blocking: bool = False,
        copy: bool = False,
        memory_format: torch.memory_format | None = None,
    ) -> Tensor:
        here = self.memory.device(tensor)
        there = here if device is None else device
        if here.type == "cuda" and there.type == "cpu":
            self.rules.copy_to_host(non_blocking)
        # Another device's memory is never shared with the host's, NumPy's arrays included.
        options: dict[str, Any] = {"copy": copy or here != there}
        if device is not None:
            options["device"] = "cpu" if there.type == "cuda" else there
        if dtype is not None:
            options["dtype"] = dtype
        if memory_format is not None:
            options["memory_format"] = memory_format
        moved = tensor.to(**options) if {"device", "dtype"} & options.keys() else tensor.to(tensor.dtype, **options)
        if there.type == "cuda" and moved is not tensor:
            self.memory.put(moved, there)
        return moved

    def _to(self, func: Callable, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        copy = kwargs.pop("copy", False)
        other = args[0] if args and isinstance(args[0], Tensor) else kwargs.pop("other", None)
        if other is not None:
            rest = args[1:] if args and args[0] is other else args
            non_blocking = rest[0] if rest else kwargs.get("non_blocking", False)
            return self._move(tensor, self.memory.device(other), other.dtype, non_blocking, copy)
        if len(args) == 4:  # the last one is `copy`
            *args, copy = args
        device, dtype, non_blocking, memory_format = torch._C._nn._parse_to(*args, **kwargs)
        there = None if device is None else self._resolve(device)
        return self._move(tensor, there, dtype, non_blocking, copy, memory_format)

    def _cuda(
        self, func: Callable, tensor: Tensor, device: Any = None, non_blocking: bool = False, **kwargs: Any
    ) -> Tensor:
        return self._move(tensor, self._resolve("cuda" if device is None else device), None, non_blocking, **kwargs)

    def _copy(self, func: Callable, tensor: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
        if self.memory.device(source).type == "cuda" and self.memory.device(tensor).type == "cpu":
            self.rules.copy_to_host(non_blocking)
        return func(tensor, source)

    def _pin(self, func: Callable, tensor: Tensor, *args: Any) -> Tensor:
        """Pinned memory belongs to the current device, which it wakes."""
        self.rules.pin(tensor)
        self.memory.touched.add(self._resolve("cuda").index)
        pinned = tensor.clone()
        pinned._pinned = True
        return pinned

    def _deepcopy(self, func: Callable, tensor: Tensor, memo: dict) -> Tensor:
        copied = func(tensor, memo)
        return self.place(copied, self.memory.device(tensor), [tensor])

    # NumPy

    def _numpy(self, func: Callable, tensor: Tensor, *args: Any, **kwargs: Any) -> np.ndarray:
        self.rules.numpy(tensor)
        return func(tensor, *args, **kwargs)

    def _as_tensor(self, func: Callable, data: Any, *args: Any, **kwargs: Any) -> Tensor:
        device = kwargs.pop("device", None)
        if device is None and isinstance(data, Tensor):
            device = self.memory.device(data)
        there = torch.device("cpu") if device is None else self._resolve(device)
        if isinstance(data, Tensor):
            return self._move(data, there, *args, **kwargs)
        return self._move(func(data, *args, **kwargs), there)

    def _tensor(self, func: Callable, data: Any, *args: Any, **kwargs: Any) -> Tensor:
        device = kwargs.pop("device", None)
        if device is None:
            device = self.memory.device(data) if isinstance(data, Tensor) else "cpu"
        there = self._resolve(device)
        made = func(data, *args, device="cpu" if there.type == "cuda" else there, **kwargs)
        return self.place(made, there, [])

    # Indices

    def _getitem(self, func: Callable, tensor: Tensor, index: Any) -> Tensor:
        self.rules.index(tensor, index)
        return self.place(func(tensor, index), self.memory.device(tensor), [])

    def _setitem(self, func: Callable, tensor: Tensor, index: Any, value: Any) -> None:
        if self.rules.index(tensor, index):
            self.rules.value(tensor, value)
        func(tensor, index, value)

    def _index_put(self, func: Callable, tensor: Tensor, index: Any, value: Tensor, *args: Any, **kwargs: Any) -> Any:
        self.rules.index(tensor, index)
        self.rules.value(tensor, value)
        return func(tensor, index, value, *args, **kwargs)

    # Gradients, which the engine makes without asking

    def _grad(self, func: Callable, tensor: Tensor) -> Tensor | None:
        grad = func(tensor)
        return None if grad is None else self.place(grad, self.memory.device(tensor), [])

    def _set_grad(self, func: Callable, tensor: Tensor, grad: Tensor | None) -> None:
        self.rules.gradient(tensor, grad)
        func(tensor, grad)
