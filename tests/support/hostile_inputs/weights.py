"""Files of weights: pickles that run code, archives that are cut, headers that lie."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable


class _Runs:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return exec, ("raise SystemExit('the pickle ran')",)


def _header(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def _torch(**entries: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in entries.items():
            archive.writestr(f"archive/{name.replace('_', '.')}", data)
    return file.getvalue()


# name -> the file's suffix and bytes
FILES: dict[str, tuple[str, bytes]] = {
    "empty": ("safetensors", b""),
    "text": ("safetensors", b"<html>404</html>"),
    "header of a terabyte": ("safetensors", struct.pack("<Q", 2**40) + b"{}"),
    "header that is no JSON": ("safetensors", _header(b"{")),
    "header nested deep": ("safetensors", _header(b"[" * 100_000)),
    "offsets beyond the end": ("safetensors", _header({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}})),
    "offsets backwards": (
        "safetensors",
        _header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, bytes(4)),
    ),
    "shape that overflows": (
        "safetensors",
        _header({"a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 16]}}),
    ),
    "pickle that runs": ("pt", pickle.dumps(_Runs())),
    "pickle in an archive": ("pt", _torch(data_pkl=pickle.dumps(_Runs()), version=b"3\n")),
    "archive without a pickle": ("pt", _torch(version=b"3\n")),
    "archive cut": ("pt", _torch(data_pkl=b"\x80\x02}.", version=b"3\n")[:-30]),
    "pickle cut": ("pt", pickle.dumps({"a": 1}, protocol=2)[:5]),
    "pickle of an odd opcode": ("bin", b"\x80\x02\xff."),
    "pickle that pops nothing": ("bin", b"0."),
    "pickle of a number": ("pth", pickle.dumps(5, protocol=2)),
    "pickle of a list": ("pt", pickle.dumps([1], protocol=2)),
}
