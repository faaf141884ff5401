"""TorchScript archives as tables of numbers: read like torch.jit does, and nothing in them runs."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from scorer.networks import inception_v3 as inception_archive
from scorer.networks.clip import load_clip
from scorer.networks.inception import find_inception, load_inception
from scorer.networks.inception_v3 import load_archive
from scorer.networks.torchscript import NotTensors, tensors_of
from submission import MissingPart

CPU = torch.device("cpu")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


class Inner(nn.Module):
    """Tensors of several kinds and strides."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.register_buffer("turned", torch.arange(12.0).view(3, 4).T)
        self.register_buffer("halves", torch.randn(5).half())
        self.register_buffer("count", torch.tensor(7))
        self.register_buffer("empty", torch.empty(0, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.convolution(x))


def saved(module: torch.jit.ScriptModule) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("how", ["traced", "scripted"])
def test_the_numbers_are_those_that_torch_loads(how: str) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(Inner()).eval()
    example = torch.zeros(1, 3, 8, 8)
    data = saved(torch.jit.trace(module, example) if how == "traced" else torch.jit.script(module))
    expected = torch.jit.load(io.BytesIO(data)).state_dict()
    found = tensors_of(io.BytesIO(data))
    assert expected.keys() <= found.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name


class Touches(nn.Module):
    """An Inception's face over code that writes a file."""

    def __init__(self, file: str, on_load: bool) -> None:
        super().__init__()
        self.file, self.on_load = file, on_load
        self.register_buffer("weight", torch.zeros(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save([self.weight], self.file)
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[torch.Tensor, str, bool, bool]:
        return self.weight, self.file, self.on_load, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, str, bool, bool]) -> None:
        self.weight, self.file, self.on_load, self.training = state
        if self.on_load:
            torch.save([self.weight], self.file)


class TouchesOnForward(nn.Module):
    """The same, with a state that can be read without code."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self.file = file
        self.register_buffer("weight", torch.zeros(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save([self.weight], self.file)
        return x


@pytest.fixture(params=["__setstate__", "forward"])
def malicious(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An archive under the official name whose code writes the file `touched` beside it."""
    file = str(tmp_path / "touched")
    module = Touches(file, on_load=True) if request.param == "__setstate__" else TouchesOnForward(file)
    path = tmp_path / "inception-2015-12-05.pt"
    path.write_bytes(saved(torch.jit.script(module)))
    assert not (tmp_path / "touched").exists()
    return path


def test_the_attack_is_one(malicious: Path) -> None:
    """Whoever hands the archive to torch.jit.load has lost."""
    torch.jit.load(malicious)(torch.zeros(1))
    assert malicious.with_name("touched").exists()


@pytest.mark.parametrize("protocol", ["clean", "legacy_tensorflow", "legacy_pytorch", "torchvision"])
def test_code_in_the_archive_does_not_run(malicious: Path, protocol: str) -> None:
    backbone = find_inception(protocol, malicious)
    with pytest.raises(MissingPart) as refusal:
        backbone.load(CPU)
    assert str(malicious) in str(refusal.value)
    assert ("--trust-weights" in str(refusal.value)) == (protocol in ("clean", "legacy_tensorflow"))
    assert not malicious.with_name("touched").exists()


def test_nor_when_it_is_given_as_clips(malicious: Path) -> None:
    with pytest.raises(MissingPart):
        load_clip("ViT-B-32-quickgelu", "openai", CPU, malicious)
    assert not malicious.with_name("touched").exists()


def test_not_even_in_an_archive_that_has_inception_s_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The own network takes the numbers; torch.jit is never asked."""
    state = {"fc.weight": torch.ones(1008, 2048)}
    monkeypatch.setattr(inception_archive, "tensors_of", lambda file: {"of": torch.zeros(1)})
    monkeypatch.setattr(inception_archive, "state_of_archive", lambda tensors, strict: state)
    monkeypatch.setattr(inception_archive, "empty_network", lambda fid: nn.Identity())
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("torch.jit.load runs the archive's code"))
    path = tmp_path / "inception-2015-12-05.pt"
    path.write_bytes(b"of another hash")
    _, classifier, note = load_archive(path, CPU, official="0" * 64)
    assert (classifier.shape, note) == ((1008, 2048), "")


class _Command:
    def __init__(self, function: Callable, *arguments: object) -> None:
        self._reduced = function, arguments

    def __reduce__(self) -> tuple:
        return self._reduced


def an_archive(pickled: bytes, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", pickled)
        file.writestr("archive/constants.pkl", pickle.dumps(()))
        for name, data in members.items():
            file.writestr(f"archive/data/{name}", data)
    return buffer.getvalue()


_MODULE = b"c__torch__.M\nM\n)\x81"  # GLOBAL, EMPTY_TUPLE, NEWOBJ
_STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"


def a_tensor(offset: int, size: int, stride: int) -> bytes:
    """A module with the tensor `t` of a storage of four numbers, as TorchScript pickles it."""
    numbers = b"".join(b"J" + number.to_bytes(4, "little", signed=True) for number in (offset, size, stride))
    offset_, size_, stride_ = numbers[:5], numbers[5:10], numbers[10:]
    return (
        b"\x80\x02" + _MODULE + b"}X\x01\x00\x00\x00tctorch._utils\n_rebuild_tensor_v2\n("
        + _STORAGE + offset_ + size_ + b"\x85" + stride_ + b"\x85\x89}tRsb."
    )  # fmt: skip


def test_the_pickle_of_these_tests_is_one_that_can_be_read() -> None:
    values = torch.tensor([1.0, 2.0, 3.0, 4.0])
    data = values.numpy().tobytes()
    found = tensors_of(io.BytesIO(an_archive(a_tensor(1, 2, 2), **{"0": data})))
    assert torch.equal(found["t"], torch.tensor([2.0, 4.0]))


@pytest.mark.parametrize(("offset", "size", "stride"), [(0, 5, 1), (4, 1, 1), (1, 2, 3), (-1, 1, 1), (0, -1, 1)])
def test_no_tensor_leaves_its_bytes(offset: int, size: int, stride: int) -> None:
    with pytest.raises(NotTensors):
        tensors_of(io.BytesIO(an_archive(a_tensor(offset, size, stride), **{"0": bytes(16)})))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 no zip",
        an_archive(b""),
        an_archive(pickle.dumps(_Command(os.system, "exit 1"), 2)),
        an_archive(pickle.dumps(_Command(eval, "1/0"), 2)),
        an_archive(pickle.dumps([torch.Size([2])], 2)),
        an_archive(pickle.dumps({"weight": 1}, 2)),  # no module
        an_archive(a_tensor(0, 1, 1)),  # no bytes
        # A global of the reader itself, changed by the pickle's BUILD.
        an_archive(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x08\x00\x00\x00__call__K\x01sb."),
        # A module that holds itself.
        an_archive(b"\x80\x02" + _MODULE + b"q\x00}X\x01\x00\x00\x00mh\x00sb."),
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(NotTensors):
        tensors_of(io.BytesIO(data))


def test_shared_modules_do_not_multiply() -> None:
    """Forty modules, each holding the next one twice: 2^40 paths in two kilobytes."""
    pickled = b"\x80\x02" + _MODULE
    for _ in range(40):
        memo = b"q\x01"
        pickled = pickled[:2] + _MODULE + b"}(X\x01\x00\x00\x00a" + pickled[2:] + memo + b"X\x01\x00\x00\x00bh\x01ub"
    with pytest.raises(NotTensors, match="too many"):
        tensors_of(io.BytesIO(an_archive(pickled + b".")))


def test_a_file_that_is_not_the_official_one_says_so(clean_weights: Path) -> None:
    note = load_inception("clean", CPU, clean_weights, trusted=True).note
    assert "not the official file" in note
