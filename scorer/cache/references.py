"""What does not depend on the submission, kept between runs: the networks' features of references and prompts.

A file is named by the hash of everything that its values depend on (the bytes of references or prompts, the network,
its weights and precision), so it is never stale; it can be deleted at any time, and any number of scorers may share it.
The file has a checksum of its values: one that does not fit is not believed, it is measured anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from submission import atomic
from submission.errors import shown
from submission.hashes import json_sha256
from submission.paths import cache_home

FORMAT = 3
FOLDER = "references"


def cache_files(
    fingerprint: Mapping[str, str | int | None], names: Sequence[str], device: torch.device
) -> dict[str, Path]:
    """Where each table is kept: `reference_inception` (N, D), `reference_clip` (N, E), `text` (T, E).

    Of the fingerprint, only what a table depends on is in its name: other prompts for the same references cost no
    second forward of the references. `names` are the images in prompt order, which is the order of the rows.
    """
    needs = {
        "reference_inception": ("protocol", "inception", "inception_sha256", "references_sha256"),
        "reference_clip": ("protocol", "clip", "clip_sha256", "references_sha256"),
        "text": ("protocol", "clip", "clip_sha256", "prompts_sha256"),
    }
    order = hashlib.sha256("\0".join(names).encode()).hexdigest()
    common = {"format": FORMAT, "torch": torch.__version__, "device": device.type, "names": order}
    files = {}
    for table, keys in needs.items():
        digest = json_sha256({**common, "table": table, **{key: fingerprint[key] for key in keys}})[:32]
        files[table] = cache_home() / FOLDER / f"{table}-{digest}.safetensors"
    return files


def read(files: Mapping[str, Path], rows: Mapping[str, int]) -> dict[str, Tensor]:
    """The tables that are there, whole, and of the length that `rows` gives, mapped from their files.

    One that is damaged is named on stderr and left out: it is measured anew.
    """
    found = {}
    for name, length in rows.items():
        try:
            table = _read(files[name], name)
        except FileNotFoundError:
            continue
        except (OSError, SafetensorError, ValueError) as error:
            text = f"{shown(str(files[name]))}: {shown(str(error))}: not used, it is measured anew"
            print(text, file=sys.stderr, flush=True)
            continue
        if len(table) == length:
            found[name] = table
    return found


def _read(file: Path, name: str) -> Tensor:
    """The table in `file`. Raises OSError, SafetensorError, and ValueError when its checksum does not fit."""
    with safe_open(file, "pt") as content:
        if name not in content.keys():  # noqa: SIM118 - it is no mapping
            raise ValueError(f"has no table {name}")
        table: Tensor = content.get_tensor(name)
        expected = (content.metadata() or {}).get("sha256")
    if table.ndim == 0 or expected != _sha256(table):
        raise ValueError("is damaged (its checksum does not fit)")
    return table


def write(files: Mapping[str, Path], tables: Mapping[str, Tensor]) -> None:
    """Keep the tables. A cache folder that cannot be written to costs time, nothing else."""
    with contextlib.suppress(OSError):
        for name, table in tables.items():
            files[name].parent.mkdir(parents=True, exist_ok=True)
            atomic.remove_leftovers(files[name].parent)
            with atomic.replacing(files[name], lasting=False) as file:
                # safetensors' own writer would hold all bytes in memory once more.
                file.writelines(_safetensors(name, table))


def _safetensors(name: str, table: Tensor) -> Iterator[bytes | memoryview]:
    """One tensor in the safetensors format: the header's length, a JSON header, the values, little-endian."""
    size = table.numel() * table.element_size()
    header = {
        "__metadata__": {"sha256": _sha256(table)},
        name: {"dtype": "F32", "shape": list(table.shape), "data_offsets": [0, size]},
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    yield from _parts(table)


def _parts(table: Tensor) -> Iterator[memoryview]:
    for part in table.split(4096):
        yield memoryview(part.cpu().contiguous().numpy()).cast("B")


def _sha256(table: Tensor) -> str:
    """The SHA-256 of the table's type, shape and values."""
    digest = hashlib.sha256(f"{table.dtype} {tuple(table.shape)} ".encode())
    for part in _parts(table):
        digest.update(part)
    return digest.hexdigest()
