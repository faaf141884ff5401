"""Device and arithmetic follow the chip; a person may overrule them, and hears what it costs."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import baselines
from baselines import hardware, registry
from baselines.hardware import Hardware, cost, decide, resolve_device
from submission import Competition, MissingPart
from submission.errors import UsageError
from submission.processor import bfloat16_units

MILAN = "processor\t: 0\nflags\t\t: fpu sse2 avx avx2 fma\n"
ZEN4 = "processor\t: 0\nflags\t\t: fpu sse2 avx2 avx512f avx512_bf16\n"
SAPPHIRE = "flags\t\t: avx512f avx512_bf16 amx_bf16 amx_tile\n"
GRAVITON = "Features\t: fp asimd sve bf16 i8mm\n"


@pytest.mark.parametrize(
    ("cpuinfo", "machine", "environment", "units"),
    [
        (MILAN, "x86_64", {}, None),
        (ZEN4, "x86_64", {}, "avx512_bf16"),
        (ZEN4, "AMD64", {}, "avx512_bf16"),
        (SAPPHIRE, "x86_64", {}, "amx_bf16"),
        (GRAVITON, "aarch64", {}, "bf16"),
        ("Features\t: fp asimd\n", "aarch64", {}, None),
        ("", "arm64", {}, None),  # macOS: PyTorch has no bfloat16 kernels for its processors
        (ZEN4, "x86_64", {"ONEDNN_MAX_CPU_ISA": "AVX2"}, None),
        (ZEN4, "x86_64", {"DNNL_MAX_CPU_ISA": "AVX512_CORE"}, None),
        (ZEN4, "x86_64", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"}, None),
        (ZEN4, "x86_64", {"ONEDNN_MAX_CPU_ISA": "avx512_core_bf16"}, "avx512_bf16"),
        (SAPPHIRE, "x86_64", {"ONEDNN_MAX_CPU_ISA": "DEFAULT"}, "amx_bf16"),
    ],
)
def test_units_are_read_off_the_processor(
    cpuinfo: str, machine: str, environment: dict[str, str], units: str | None
) -> None:
    assert bfloat16_units(cpuinfo, machine, environment) == units


@pytest.fixture
def cpu_without_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "bfloat16_units", lambda: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def cpu_with_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "bfloat16_units", lambda: "avx512_bf16")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def gpu(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], count: int = 1) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    monkeypatch.delenv("LOCAL_RANK", raising=False)


def test_a_processor_without_units_computes_in_float32(cpu_without_units) -> None:
    assert decide("cpu") == Hardware("cpu", "float32", "no units for bfloat16 or float16")
    assert decide("auto").device == "cpu"


def test_a_processor_with_units_uses_them_where_the_model_tolerates_it(cpu_with_units) -> None:
    assert decide("cpu") == Hardware("cpu", "bfloat16", "the processor has avx512_bf16")
    assert decide("cpu", tolerates=("float32", "float16")).precision == "float32"
    assert decide("cpu", tolerates=("float32",)) == Hardware("cpu", "float32", "the model tolerates no other")


@pytest.mark.parametrize(
    ("capability", "tolerates", "precision"),
    [
        ((9, 0), hardware.PRECISIONS, "bfloat16"),
        ((8, 0), ("float32", "float16"), "float16"),
        ((7, 5), hardware.PRECISIONS, "float16"),
        ((7, 0), ("float32", "bfloat16"), "float32"),
        ((6, 1), hardware.PRECISIONS, "float32"),
    ],
)
def test_a_gpus_capability_decides(
    monkeypatch, capability: tuple[int, int], tolerates: tuple[str, ...], precision: str
) -> None:
    gpu(monkeypatch, capability)
    assert decide("auto", tolerates=tolerates).precision == precision


def test_a_person_may_overrule(cpu_without_units) -> None:
    assert decide("cpu", "bfloat16") == Hardware("cpu", "bfloat16", "asked for")
    with pytest.raises(UsageError, match="tolerates float32, float16"):
        decide("cpu", "bfloat16", registry.MODELS["glide"].tolerates)
    with pytest.raises(UsageError, match="bfloat32"):
        decide("cpu", "bfloat32")


def test_devices_are_resolved_and_numbered(monkeypatch) -> None:
    gpu(monkeypatch, (9, 0), count=2)
    assert [resolve_device(name) for name in ("auto", "cuda", "cuda:1", "cpu")] == ["cuda", "cuda", "cuda:1", "cpu"]
    assert decide("cuda:1").kind == "cuda"
    with pytest.raises(UsageError, match="cuda:0 to cuda:1"):
        resolve_device("cuda:2")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert [resolve_device(name) for name in ("auto", "cuda", "cuda:0")] == ["cuda:1", "cuda:1", "cuda:0"]


@pytest.mark.parametrize("name", ["gpu", "", "cuda:", "cuda:-1", "cuda:x", "CPU", "mps:0"])
def test_an_unknown_device_is_named_with_those_that_are_known(name: str) -> None:
    with pytest.raises(UsageError, match="auto, cpu, cuda"):
        resolve_device(name)


@pytest.mark.parametrize(("name", "words"), [("cuda", "NVIDIA"), ("cuda:0", "NVIDIA"), ("mps", "Apple silicon")])
def test_a_device_that_is_not_there_is_a_missing_part(cpu_without_units, monkeypatch, name: str, words: str) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(MissingPart, match="--device cpu") as error:
        resolve_device(name)
    assert words in str(error.value)


def test_mps_is_taken_where_it_is(cpu_without_units, monkeypatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert decide("auto") == Hardware("mps", "float32", "no units for bfloat16 or float16")
    assert decide("mps").memory_format == torch.contiguous_format


def test_emulation_says_what_it_costs(cpu_without_units, capsys) -> None:
    assert cost(decide("cpu")) is None
    said = cost(decide("cpu", "bfloat16"))
    assert said is not None
    assert "bfloat16 is emulated on this cpu" in said
    hardware.print_cost(decide("cpu", "bfloat16"))
    assert "times as long as in float32" in capsys.readouterr().err


def test_units_cost_nothing_to_mention(cpu_with_units) -> None:
    assert cost(decide("cpu", "bfloat16")) is None


def test_a_precision_is_nothing_to_models_without_networks(tiny_competition) -> None:
    with pytest.raises(UsageError, match="noise takes no --precision"):
        baselines.load("noise", tiny_competition(2), "cpu", precision="bfloat16")


class Kernels(TorchDispatchMode):
    """Counts the operators that are given or return tensors of each dtype."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[torch.dtype] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        flat, _ = torch.utils._pytree.tree_flatten((args, kwargs, out))
        self.seen.update({value.dtype for value in flat if isinstance(value, torch.Tensor)})
        return out


@pytest.mark.parametrize("model", ["monster", "stable", "glide", "glide-clip", "vq", "clip-guided"])
def test_no_half_precision_kernel_runs_without_units(cpu_without_units, model: str) -> None:
    generator = baselines.load(model, Competition.load("bestiary"), "cpu", steps=2)
    with Kernels() as kernels:
        generator.generate(["Red slime monster."], [1])
    assert kernels.seen[torch.float32] > 100
    assert not kernels.seen[torch.bfloat16]
    assert not kernels.seen[torch.float16]


def test_the_counter_sees_half_precision_kernels(cpu_with_units) -> None:
    generator = baselines.load("monster", Competition.load("bestiary"), "cpu", steps=1)
    with Kernels() as kernels:
        generator.generate(["Red slime monster."], [1])
    assert kernels.seen[torch.bfloat16] > 10


def test_the_manifest_says_device_precision_and_why(cpu_without_units) -> None:
    from baselines.draw import Request, drew, manifest_of
    from baselines.generator import describe

    competition = Competition.load("bestiary")
    request = Request(registry.recipe("monster", competition), competition, limit=1)
    manifest = manifest_of(request, describe("monster", request.recipe.load(request.hardware)), None)
    assert (manifest.settings["device"], manifest.settings["precision"]) == ("cpu", "float32")
    assert "precision float32 on cpu: no units for bfloat16 or float16" in manifest.notes
    assert drew(request, manifest)  # wherever it is looked at again
    other = Request(request.recipe, competition, limit=1, precision="bfloat16")
    assert not drew(other, manifest)
