"""Bytes changed at random: each reader of foreign files raises what it says it raises, and nothing else.

Each reader gets `DRAWOFF_FUZZ` inputs (default: 1,000; .ci/run gives 20,000), the same ones in each run. It is called
in this process, so that an input takes a fraction of a millisecond. No input may make the process larger by more than
64 MiB; every tenth is traced besides, allocation by allocation, which takes three times as long.
"""

from __future__ import annotations

import io
import os
import random
import resource
import sys
import time
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile_inputs.case import TOML, saved
from safetensors.torch import save
from tiny_competition import picture

from leaderboard import board
from scorer.networks.torchscript import NotTensors, tensors_of
from scorer.networks.weight_files import load_state_dict
from submission import competition_toml, strict_json
from submission.archive import ZipFiles
from submission.competition import Competition
from submission.errors import CompetitionError, MissingPart
from submission.images import ImageProblem, read_image
from submission.import_picture import import_picture
from submission.manifest import Manifest
from submission.prompts import read_prompts
from submission.safe_read import NotReadable
from submission.scorecard import Scorecard
from submission.statistics import read_statistics

EXECUTIONS = int(os.environ.get("DRAWOFF_FUZZ", "1000"))
TRACED = 10  # of so many inputs one
MEMORY = 64 * 2**20  # of any reader, for inputs of some kilobytes

# What a structure-aware mutation puts in: lengths, signs of the formats, numbers at their ends.
_TOKENS = [
    b"\0", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"PK\5\6", b"PK\1\2",
    b"PK\3\4", b"PK\6\6", b"PK\6\7", b"IHDR", b"IDAT", b"IEND", b"PLTE", b"tRNS", b"eXIf", b"acTL", b"\xff\xd8",
    b"\xff\xd9", b"\xff\xda", b"\xff\xc0", b"\xff\xc4", b"\xff\xdd", b"\xff\xd0", b"{", b"}", b"[", b"]", b'"', b",",
    b":", b".", b"=", b"\n", b"\r", b"\t", b"'", b"\\u0000", b"\\ud800", b"NaN", b"-1", b"1e999", b"null", b"true",
    b"99999999999999999999", b"\xc3\x28", b"\xef\xbb\xbf", "\u202e".encode(), b"\x1b[2J", b"../", b"[[", b"]]",
]  # fmt: skip


def mutated(seeds: list[bytes], rng: random.Random) -> bytes:
    """One of the seeds, changed in a few places: bits, bytes, tokens, pieces cut, doubled, moved or of another seed."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        place = rng.randrange(len(data) + 1)
        length = min(len(data) - place, rng.choice((1, 2, 4, 16, 64, 1024)))
        kind = rng.randrange(8)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[place : place + length] = rng.randbytes(length)
        elif kind == 2:
            data[place : place + rng.choice((0, 1, 4))] = rng.choice(_TOKENS)
        elif kind == 3:
            del data[place : place + length]
        elif kind == 4:
            data[place:place] = data[place : place + length] * rng.choice((1, 2, 50))
        elif kind == 5:
            other = rng.choice(seeds)
            start = rng.randrange(len(other) + 1)
            data[place : place + length] = other[start : start + length]
        elif kind == 6:
            del data[place:]
        else:
            data[place:place] = rng.choice(_TOKENS) * rng.choice((1, 2, 300))
    return bytes(data)


def _images() -> list[bytes]:
    small = picture(0, 16)
    options = [{}, {"progressive": True}, {"restart_marker_blocks": 2}, {"subsampling": 0}]
    files = [saved(small, "JPEG", **more) for more in options]
    files += [saved(small), saved(small, optimize=True, compress_level=9)]
    return [*files, saved(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))]


def _zips() -> list[bytes]:
    result = []
    for method, prefix in ((zipfile.ZIP_STORED, ""), (zipfile.ZIP_DEFLATED, "folder/")):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            for number in range(3):
                archive.writestr(f"{prefix}{number}.png", b"x" * 50)
            archive.writestr("__MACOSX/._a", b"y")
            archive.comment = b"made by hand" if prefix else b""
        result.append(file.getvalue())
    return result


def _read_zip(path: Path) -> None:
    files = ZipFiles(path, 2**20, 100)
    for name in files.names:
        try:
            files.read(name, 2**16)
        except NotReadable:
            continue


def peak() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _scripted() -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own module system goes out of use
        torch.jit.save(torch.jit.script(torch.nn.Linear(3, 2)), file)
    return file.getvalue()


def _statistics() -> bytes:
    file = io.BytesIO()
    np.savez(file, mu=np.zeros(3), sigma=np.eye(3), n=np.array(8), inception=np.array("clean"))
    return file.getvalue()


def _state(path: Path) -> None:
    load_state_dict(path, what="weights")


def _pickled() -> bytes:
    file = io.BytesIO()
    torch.save({"a": torch.arange(4.0), "b": torch.ones(2, 2)}, file)
    return file.getvalue()


_MANIFEST = (
    b'{"format": 1, "competition": "tiny", "model": "m", "weights": {"a": "'
    + b"0" * 64
    + b'"}, "seed": 0, "settings": '
    b'{"steps": 20, "a": [1, 2.5, null, true, {"b": "c"}]}, "versions": {"numpy": "2"}, "notes": ["x"], "images": '
    b'{"0.png": "' + b"a" * 64 + b'"}}'
)
_PROMPTS = b'{"0": {"image_name": "0.png", "text_prompt": "a slime"}, "1": {"image_name": "1.png", "text_prompt": "b"}}'
_CSV = 'id,prompt\n0,a slime\n1,"a, quoted ""one"""\n2,caf\u00e9\n'.encode()
_BOARD = b"\n".join([*board.SHIPPED.read_bytes().split(b"\n")[:3], b""]).replace(b",glide,", b',"gl""ide, too",', 1)
_CARD = Scorecard("tiny", "0" * 64, "n", 8, {}, [], {"protocol": 1, "n": 8}).to_json().encode()

# reader -> the file's suffix, what it begins from, how it is read, what it may raise
READERS: dict[str, tuple[str, list[bytes], Callable[[Path], object], tuple[type[Exception], ...]]] = {
    "image": ("png", _images(), lambda path: read_image(path.read_bytes(), 16), (ImageProblem,)),
    "image of any size": ("png", _images(), lambda path: read_image(path.read_bytes(), None), (ImageProblem,)),
    "zip": ("zip", _zips(), _read_zip, (NotReadable,)),
    "prompts json": ("json", [_PROMPTS], read_prompts, (CompetitionError,)),
    "prompts csv": ("csv", [_CSV], read_prompts, (CompetitionError,)),
    "manifest": ("json", [_MANIFEST], lambda path: Manifest.parse(path.read_bytes()), (ValueError,)),
    "json": ("json", [_MANIFEST, _PROMPTS], lambda path: strict_json.parse(path.read_bytes()), ()),
    "scorecard": ("json", [_CARD], lambda path: Scorecard.from_json(path.read_bytes()), (ValueError,)),
    "toml": ("toml", [TOML.encode()], lambda path: competition_toml.parse(path.read_bytes()), (ValueError,)),
    "competition": ("toml", [TOML.encode()], Competition.load, (CompetitionError,)),
    "board": ("csv", [_BOARD], board.read, (CompetitionError,)),
    "safetensors": ("safetensors", [save({"a": torch.arange(4.0), "b": torch.ones(2, 2)})], _state, (MissingPart,)),
    "torchscript": ("pt", [_scripted()], lambda path: tensors_of(io.BytesIO(path.read_bytes())), (NotTensors,)),
    "statistics": ("npz", [_statistics()], lambda path: read_statistics([path]), (CompetitionError,)),
    "picture": ("png", _images(), lambda path: import_picture(path.read_bytes(), "a.png", None, None), (ImageProblem,)),
    "checkpoint": ("pt", [_pickled()], _state, (MissingPart,)),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.filterwarnings("ignore")  # what decoders warn of is theirs to say
def test_a_reader_raises_what_it_says(reader: str, tmp_path: Path) -> None:
    suffix, seeds, read, raises = READERS[reader]
    rng = random.Random(reader)
    path = tmp_path / f"foreign.{suffix}"
    for data in seeds:  # the honest ones pass
        path.write_bytes(data)
        read(path)
    refused, begun = 0, time.process_time()
    for number in range(EXECUTIONS):
        data = mutated(seeds, rng)
        path.write_bytes(data)
        largest = peak()
        if number % TRACED == 0:
            tracemalloc.start(1)
        try:
            read(path)
        except raises:
            refused += 1
        except BaseException as error:
            error.add_note(f"{reader}, execution {number}: {data[:2000]!r}")
            raise
        finally:
            traced = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert max(traced, peak() - largest) < MEMORY, data
    assert refused > EXECUTIONS / 20 or not raises  # it is what is read that was changed
    print(f"{reader}: {EXECUTIONS} executions, {refused} refused, {time.process_time() - begun:.1f} s")
