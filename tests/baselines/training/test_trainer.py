"""The training loop against a plain one."""

from __future__ import annotations

import socket
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import forked_command
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from small_runs import EXAMPLES, INPUTS, SCHEDULE, TARGETS, fit, linear, plain, same, squared_error, stats
from torch import Tensor, nn

from baselines.training.run import compile_in_place
from baselines.training.trainer import train


def test_the_weights_are_those_of_a_plain_loop(tmp_path: Path) -> None:
    averages = plain(SCHEDULE)
    weights = fit(tmp_path / "run", replace(SCHEDULE, keep_at=(0.05, 0.5)))
    assert same(weights, averages[-1], 1e-6)
    # A twentieth of the training is its first step: the average starts from there, not from the random start.
    assert same(load_file(tmp_path / "run" / "weights-0.05.safetensors"), averages[0], 1e-6)
    assert same(load_file(tmp_path / "run" / "weights-0.5.safetensors"), averages[9], 1e-6)
    assert not same(averages[9], averages[-1], 1e-3)
    (row,) = stats(tmp_path / "run")
    assert row["images"] == 80
    assert row["done"] == pytest.approx(sum(range(20)) / 20 / 20)
    assert {"loss", "grad_norm", "images_per_second"} <= row.keys()
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert names.pop(0).startswith("events.out.tfevents.")
    assert names == [
        "options.json", "stats.jsonl", "weights-0.05.safetensors", "weights-0.5.safetensors", "weights.safetensors",
    ]  # fmt: skip


def test_a_frozen_parameter_stays_as_it_is(tmp_path: Path) -> None:
    model = linear()
    model.bias.requires_grad_(False)
    before = model.bias.clone()
    weights = fit(tmp_path / "run", model=model)
    assert weights["bias"].equal(before)
    assert not weights["weight"].equal(linear().weight)


def test_accumulated_batches_are_one_large_batch(tmp_path: Path) -> None:
    def exact(model: nn.Module, batch: Tensor, generator: torch.Generator, done: float) -> tuple[Tensor, dict]:
        return (model(INPUTS[batch]) - TARGETS[batch]).square().mean(), {}

    constant = replace(SCHEDULE, warmup=0.0, final_rate=1.0)
    small = fit(tmp_path / "small", replace(constant, accumulation=2), loss=exact)
    large = fit(tmp_path / "large", replace(constant, batch_size=8), loss=exact)
    assert same(small, large, 1e-5)
    # Adam forgives gradients of the wrong scale; their norm does not.
    norms = [stats(tmp_path / name)[0]["grad_norm"] for name in ("small", "large")]
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)


def test_an_accelerator_that_accumulates_too_is_refused(tmp_path: Path) -> None:
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    with pytest.raises(ValueError, match="accumulation"):
        train(linear(), squared_error, EXAMPLES, SCHEDULE, tmp_path / "run", accelerator=accelerator)


def test_previews_see_the_average_and_change_nothing(tmp_path: Path) -> None:
    seen: dict[str, dict[str, Tensor]] = {}

    def preview(model: nn.Module, path: Path) -> None:
        assert not model.training
        seen[path.name] = {name: tensor.clone() for name, tensor in model.named_parameters()}

    weights = fit(tmp_path / "run", replace(SCHEDULE, preview_images=30), preview=preview)
    averages = plain(SCHEDULE)
    assert list(seen) == ["000000032.png", "000000060.png"]
    assert same(seen["000000032.png"], averages[7], 1e-6)
    assert same(weights, averages[-1], 1e-6)


# Interruptions


def test_an_average_may_begin_midway(tmp_path: Path) -> None:
    schedule = replace(SCHEDULE, ema_from=0.5, keep_at=(0.5, 0.55))
    averages = plain(schedule)
    assert same(fit(tmp_path / "run", schedule), averages[-1], 1e-6)
    unaveraged = plain(replace(SCHEDULE, ema_decay=0.0))
    assert same(load_file(tmp_path / "run" / "weights-0.5.safetensors"), unaveraged[9], 1e-6)
    assert same(load_file(tmp_path / "run" / "weights-0.55.safetensors"), averages[10], 1e-6)
    assert not same(averages[10], unaveraged[10], 1e-3)


def test_vectors_need_not_decay(tmp_path: Path) -> None:
    def nothing(model: nn.Module, batch: Tensor, generator: torch.Generator, done: float) -> tuple[Tensor, dict]:
        return 0 * sum(parameter.sum() for parameter in model.parameters()), {}

    begun = linear().state_dict()
    schedule = replace(SCHEDULE, weight_decay=0.5, decay_vectors=False, ema_decay=0.0)
    weights = fit(tmp_path / "run", schedule, loss=nothing)
    assert torch.equal(weights["bias"], begun["bias"])
    assert weights["weight"].norm() < 0.9 * begun["weight"].norm()


def test_without_an_average_the_weights_are_the_last_ones(tmp_path: Path) -> None:
    assert same(
        fit(tmp_path / "run", replace(SCHEDULE, ema_decay=0.0)), plain(replace(SCHEDULE, ema_decay=0.0))[-1], 1e-6
    )


def test_what_a_loss_may_call_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda module: compiled.append(module))
    model = nn.Sequential(nn.Linear(3, 1), nn.ModuleList([nn.Identity()]))
    compile_in_place(model)
    assert [type(module) for module in compiled] == [nn.Sequential, nn.Linear, nn.ModuleList, nn.Identity]


# Several processes

TWO = """
from pathlib import Path
import torch
from accelerate import Accelerator
from baselines.training.schedule import Schedule
from baselines.training.trainer import train

x = torch.randn(21, 3, generator=torch.Generator().manual_seed(5))
accelerator = Accelerator(cpu=True)
torch.manual_seed(0)

def loss(model, batch, generator, done):
    # Around the wrapper that averages gradients, as a loss with several outputs does.
    return (accelerator.unwrap_model(model)(x[batch]) - x[batch].sum(1, keepdim=True)).square().mean(), {{}}

schedule = Schedule(images=80, batch_size={batch_size}, learning_rate=0.05, save_minutes=0.0)
for stop_at in (0.5, 1.0):
    train(torch.nn.Linear(3, 1), loss, 21, schedule, Path({out!r}), accelerator=accelerator, stop_at=stop_at)
    accelerator.wait_for_everyone()
    accelerator = Accelerator(cpu=True)
"""


@pytest.mark.slow
def test_two_processes_train_as_one_with_twice_the_batch(tmp_path: Path) -> None:
    said = [tmp_path / f"said{number}" for number in range(3)]

    def train_in(name: str, size: int, said_in: Path, **variables: str) -> BaseProcess:
        return forked_command.start(TWO.format(out=str(tmp_path / name), batch_size=size), said_in, **variables)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    processes = [train_in("two", 4, said[k], RANK=str(k), LOCAL_RANK=str(k), **common) for k in range(2)]
    processes.append(train_in("one", 8, said[2]))
    ends = [forked_command.result(process, place) for process, place in zip(processes, said, strict=True)]
    assert [end.returncode for end in ends] == [0, 0, 0], "\n".join(end.stderr for end in ends)
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    assert same(one, two, 1e-5)
