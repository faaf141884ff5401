"""The tensors of a TorchScript archive, read without running anything of it.

A TorchScript file is a zip: `data.pkl` pickles the tree of modules, `data/0`, `data/1` … are the tensors' bytes, and
`code/` holds the modules' source. `torch.jit.load` compiles that source and runs every module's `__setstate__`, which
may write files. Here only the pickle is read, into records that do nothing.
"""

from __future__ import annotations

import math
import pickle
import zipfile
from collections.abc import Iterator
from functools import cache
from io import BufferedReader, BytesIO
from typing import Any, NoReturn

import torch
from torch import Tensor

MAX_BYTES = 2**31  # of all members, and of all tensors, together; NVIDIA's Inception has 0.1 GB
MAX_PICKLE_BYTES = 2**26
MAX_DEPTH = 100
MAX_ATTRIBUTES = 100_000
_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class NotTensors(ValueError):
    """Why the tensors of an archive cannot be read, in words."""


class _Module:
    """A module of the archive: the attributes it was pickled with. Nothing is known of its code."""

    attributes: dict[str, Any] = {}  # noqa: RUF012 (of a module without state; never written to)

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
            raise NotTensors("a module keeps its state in a way that only its own code can read")
        self.attributes = state


class _Inert:
    """What the pickle may hold and pass on, and not change."""

    __slots__ = ("values",)

    def __init__(self, *values: Any) -> None:
        self.values = values

    def __setstate__(self, state: object) -> NoReturn:
        raise NotTensors("it changes what it has made")


class _Storage(_Inert):
    """The bytes of a tensor: their member's name and the name of the kind of number."""


class _View(_Inert):
    """A tensor: storage, offset, size and stride, in numbers."""


class _Rebuild(_Inert):
    """Stands for torch._utils._rebuild_tensor_v2."""

    def __call__(self, storage: object, offset: object, size: object, stride: object, *_: object) -> _View:
        return _View(storage, offset, size, stride)


class _AsList(_Inert):
    """Stands for torch.jit._pickle.build_intlist and its like, and for restore_type_tag."""

    def __call__(self, values: object, *_: object) -> object:
        return values


_KNOWN: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _Rebuild(),
    ("collections", "OrderedDict"): dict,
    ("torch.jit._pickle", "restore_type_tag"): _AsList(),
    **{("torch.jit._pickle", f"build_{kind}list"): _AsList() for kind in ("int", "tensor", "double", "bool")},
    **{("torch", storage): storage for storage in _DTYPES},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return type("Module", (_Module,), {})
        if (module, name) not in _KNOWN:
            raise NotTensors(f"it names {module}.{name}, which is no tensor's")
        return _KNOWN[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        if not (isinstance(pid, tuple) and len(pid) == 5 and pid[0] == "storage" and pid[1] in _DTYPES):
            raise NotTensors("it refers to something that is no tensor's bytes")
        return _Storage(str(pid[2]), pid[1])


def tensors_of(file: BytesIO | BufferedReader) -> dict[str, Tensor]:
    """Every tensor that is an attribute of a module, by its path in the tree of modules, such as `layers.conv.weight`.

    What `torch.jit.load(file).state_dict()` has is among them. No code of the file runs. Raises NotTensors for what
    cannot be read so.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise NotTensors(f"it is larger than {MAX_BYTES >> 30} GiB")
            names = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
            if len(names) != 1 or archive.getinfo(names[0]).file_size > MAX_PICKLE_BYTES:
                raise NotTensors("it has no data.pkl of a TorchScript archive")
            with archive.open(names[0]) as pickled:
                tree = _Unpickler(pickled).load()
            if not isinstance(tree, _Module):
                raise NotTensors("it holds no module")
            return _read(archive, names[0].removesuffix("data.pkl"), dict(_views(tree)))
    except NotTensors:
        raise
    except Exception as error:  # the zip's reader and the unpickler raise whatever they meet in hostile bytes
        raise NotTensors(f"it cannot be read: {type(error).__name__}: {error}") from error


def _views(tree: _Module) -> Iterator[tuple[str, _View]]:
    left = [("", tree, 0)]
    attributes = 0
    while left:
        prefix, module, depth = left.pop()
        attributes += 1 + len(module.attributes)
        if depth > MAX_DEPTH or attributes > MAX_ATTRIBUTES:  # a tree may hold itself
            raise NotTensors("its modules are too many or nested too deeply")
        for name, value in module.attributes.items():
            if isinstance(value, _Module):
                left.append((f"{prefix}{name}.", value, depth + 1))
            elif isinstance(value, _View):
                yield f"{prefix}{name}", value


def _read(archive: zipfile.ZipFile, root: str, views: dict[str, _View]) -> dict[str, Tensor]:
    @cache
    def numbers_of(member: str, kind: str) -> Tensor:
        data = bytearray(archive.read(f"{root}data/{member}"))
        return torch.frombuffer(data, dtype=_DTYPES[kind]) if data else torch.empty(0, dtype=_DTYPES[kind])

    tensors = {}
    total = 0
    for name, view in views.items():
        storage, offset, size, stride = view.values
        if not isinstance(storage, _Storage) or not _are_sizes(offset, size, stride):
            raise NotTensors(f"{name} is not described as a tensor")
        flat = numbers_of(*storage.values)
        total += math.prod(size) * flat.element_size()
        last = offset + sum((extent - 1) * step for extent, step in zip(size, stride, strict=True))
        if total > MAX_BYTES or (math.prod(size) and last >= flat.numel()):
            raise NotTensors(f"{name} reaches beyond its bytes, or all tensors are larger than {MAX_BYTES >> 30} GiB")
        tensors[name] = flat.as_strided(size, stride, offset).clone()
    return tensors


def _are_sizes(offset: object, size: object, stride: object) -> bool:
    if not isinstance(size, tuple | list) or not isinstance(stride, tuple | list) or len(size) != len(stride):
        return False
    return all(type(number) is int and 0 <= number < 2**40 for number in (offset, *size, *stride))
