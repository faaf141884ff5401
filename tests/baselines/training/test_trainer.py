"""The training loop against a plain one written out here, and against itself after every kind of interruption."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import forked_command
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import Tensor, nn

from baselines.training.schedule import ContrastiveSchedule, Schedule, indices
from baselines.training.trainer import compile_in_place, train
from submission.errors import UsageError

EXAMPLES = 21
INPUTS = torch.randn(EXAMPLES, 3, generator=torch.Generator().manual_seed(5))
TARGETS = INPUTS @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.3
# 20 steps, more than three epochs of the 21 examples.
SCHEDULE = Schedule(images=80, batch_size=4, learning_rate=0.05, ema_decay=0.6, seed=3, save_minutes=60)


def linear(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Linear(3, 1)


def squared_error(model: nn.Module, batch: Tensor, generator: torch.Generator, done: float) -> tuple[Tensor, dict]:
    """Noisy inputs, so that the weights show whether the generator is the right one."""
    noise = 0.1 * torch.randn(len(batch), 3, generator=generator)
    return (model(INPUTS[batch] + noise) - TARGETS[batch]).square().mean(), {"done": done}


def fit(out: Path, schedule: Schedule = SCHEDULE, model: nn.Module | None = None, **more: object) -> dict[str, Tensor]:
    path = train(
        model or linear(),
        more.pop("loss", squared_error),
        EXAMPLES,
        schedule,
        out,
        accelerator=Accelerator(cpu=True),
        **more,
    )
    return load_file(path) if path.exists() else {}


def same(a: dict[str, Tensor], b: dict[str, Tensor], tolerance: float = 0.0) -> bool:
    return a.keys() == b.keys() and all(torch.allclose(a[k], b[k], rtol=0, atol=tolerance) for k in a)


def stats(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "stats.jsonl").read_text().splitlines()]


def plain(schedule: Schedule) -> list[dict[str, Tensor]]:
    """The averaged weights after each step of an ordinary loop with AdamW: the reference."""
    model, steps = linear(), schedule.images // schedule.batch_size
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=schedule.weight_decay)
    average: dict[str, Tensor] = {}
    averages = []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = schedule.rate(step, steps)
        generator = torch.Generator().manual_seed((schedule.seed * 1_000_003 + step) * 1009)
        batch = indices(step, EXAMPLES, schedule.batch_size, schedule.seed)
        value, _ = squared_error(model, batch, generator, step / steps)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), schedule.clip_norm)
        optimizer.step()
        n = step + 1 - schedule.ema_from * steps
        decay = 0.0 if step == 0 or n <= 0 else min(schedule.ema_decay, (1 + n) / (10 + n))
        weights = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
        average = {name: decay * average.get(name, w) + (1 - decay) * w for name, w in weights.items()}
        averages.append(average)
    return averages


# Which examples, how fast


def test_each_epoch_shows_every_example_once() -> None:
    count, size, epochs = 21, 4, 8
    shown = torch.cat([indices(step, count, size, seed=0) for step in range(count * epochs // size)])
    by_epoch = shown.view(epochs, count)
    assert shown.dtype == torch.int64
    assert all(epoch.sort().values.equal(torch.arange(count)) for epoch in by_epoch)
    assert len({tuple(epoch.tolist()) for epoch in by_epoch}) == epochs


def test_the_examples_are_a_function_of_the_step() -> None:
    forwards = [indices(step, 21, 4, seed=1) for step in range(12)]
    backwards = [indices(step, 21, 4, seed=1) for step in reversed(range(12))]
    assert all(a.equal(b) for a, b in zip(forwards, reversed(backwards), strict=True))
    assert not torch.cat(forwards).equal(torch.cat([indices(step, 21, 4, seed=2) for step in range(12)]))
    # Two batches of 4 are a batch of 8: what accumulation and several processes rest on.
    assert torch.cat(forwards[6:8]).equal(indices(3, 21, 8, seed=1))


def test_a_batch_may_be_larger_than_the_set() -> None:
    batch = indices(0, 3, 8, seed=0)
    assert sorted(batch.tolist()) == sorted([*[0, 1, 2] * 2, *batch[6:].tolist()])
    assert len(batch) == 8


def test_the_rate_rises_and_falls_as_a_cosine() -> None:
    schedule = Schedule(images=1, learning_rate=2.0, warmup=0.2, final_rate=0.1)
    assert schedule.rate(0, 30) == 0.0
    assert schedule.rate(3, 30) == pytest.approx(1.0)
    assert schedule.rate(6, 30) == pytest.approx(2.0)
    assert schedule.rate(18, 30) == pytest.approx(2.0 * 1.1 / 2)
    assert schedule.rate(14, 30) == pytest.approx(2.0 * (0.1 + 0.9 * 0.75))
    assert schedule.rate(30, 30) == pytest.approx(0.2)
    assert replace(schedule, warmup=0.0).rate(0, 30) == 2.0


def test_the_contrastive_rate_is_a_cosine_times_a_warm_up() -> None:
    schedule = ContrastiveSchedule(images=1, learning_rate=2.0, warmup=0.5, final_rate=0.0)
    assert schedule.rate(0, 4) == pytest.approx(1.0)
    assert schedule.rate(1, 4) == pytest.approx(1 + 0.5**0.5)
    assert schedule.rate(2, 4) == pytest.approx(1.0)
    assert schedule.rate(4, 4) == 0.0


# The loop


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


def dropout(seed: int = 0) -> nn.Module:
    """A model that draws from the global generator while it trains."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))


@pytest.mark.parametrize("accumulation", [1, 3])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.85])
@pytest.mark.parametrize("changes", [{}, {"optimizer": "muon", "ema_from": 0.7}])
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    tmp_path: Path, share: float, accumulation: int, changes: dict
) -> None:
    schedule = replace(SCHEDULE, accumulation=accumulation, **changes)
    whole = fit(tmp_path / "whole", schedule, dropout())
    assert fit(tmp_path / "run", schedule, dropout(), stop_at=share) == {}
    assert (tmp_path / "run" / "state").is_dir()
    # Another start and another random state: whatever is not in the run's folder would show.
    torch.rand(7)
    assert same(fit(tmp_path / "run", schedule, dropout(seed=9)), whole)
    assert not (tmp_path / "run" / "state").exists()


class Killed(BaseException):
    pass


def killed_at(image: int) -> Callable:
    calls = iter(range(1000))

    def loss(model: nn.Module, batch: Tensor, generator: torch.Generator, done: float) -> tuple[Tensor, dict]:
        if next(calls) * SCHEDULE.batch_size >= image:
            raise Killed
        return squared_error(model, batch, generator, done)

    return loss


def test_a_killed_run_goes_on_from_its_last_state(tmp_path: Path) -> None:
    whole = fit(tmp_path / "whole")
    often = replace(SCHEDULE, save_minutes=0.0)
    with pytest.raises(Killed):
        fit(tmp_path / "run", often, loss=killed_at(40))
    shown: list[float] = []

    def counting(model: nn.Module, batch: Tensor, generator: torch.Generator, done: float) -> tuple[Tensor, dict]:
        shown.append(done)
        return squared_error(model, batch, generator, done)

    assert same(fit(tmp_path / "run", often, linear(9), loss=counting), whole)
    assert shown[0] == 0.5
    assert [row["images"] for row in stats(tmp_path / "run")] == [80]


@pytest.mark.parametrize("moment", ["before the old state is put aside", "before the new one takes its place"])
def test_killed_while_it_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    whole = fit(tmp_path / "whole")
    often = replace(SCHEDULE, save_minutes=0.0)
    rename = Path.rename

    def killing(self: Path, target: Path) -> Path:
        at = self.name == "state" if moment.startswith("before the old") else Path(target).name == "state"
        if at and (tmp_path / "run" / "killable").exists():
            raise Killed
        if Path(target).name == "state":
            (tmp_path / "run" / "killable").touch()  # there is a first state now
        return rename(self, target)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Path, "rename", killing)
        fit(tmp_path / "run", often)
    begun: list[float] = []

    def counting(model: nn.Module, batch: Tensor, generator: torch.Generator, done: float) -> tuple[Tensor, dict]:
        begun.append(done)
        return squared_error(model, batch, generator, done)

    assert same(fit(tmp_path / "run", often, linear(9), loss=counting), whole)
    assert begun[0] == 0.05, "the state of the first step must have survived"


def test_a_resumed_log_has_each_image_once(tmp_path: Path) -> None:
    schedule = replace(SCHEDULE, images=1000, save_minutes=60)  # 250 steps, a row each hundred
    fit(tmp_path / "run", schedule, stop_at=0.3)
    with pytest.raises(Killed):
        fit(tmp_path / "run", schedule, loss=killed_at(600))
    assert [row["images"] for row in stats(tmp_path / "run")] == [700]
    with (tmp_path / "run" / "stats.jsonl").open("a") as log:
        log.write('{"images": 8')  # torn by the kill
    fit(tmp_path / "run", schedule)
    assert [row["images"] for row in stats(tmp_path / "run")] == [700, 1000]


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    weights = fit(tmp_path / "run")
    before = (tmp_path / "run" / "stats.jsonl").read_bytes()
    assert same(fit(tmp_path / "run", model=linear(9), loss=killed_at(0)), weights)
    assert (tmp_path / "run" / "stats.jsonl").read_bytes() == before


@pytest.mark.parametrize("finished", [False, True])
def test_a_folder_with_another_run_is_refused(tmp_path: Path, finished: bool) -> None:
    fit(tmp_path / "run", stop_at=1.0 if finished else 0.5, options={"width": 8})
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    for schedule, options in ((replace(SCHEDULE, seed=4), {"width": 8}), (SCHEDULE, {"width": 16}), (SCHEDULE, None)):
        with pytest.raises(UsageError, match="other options"):
            fit(tmp_path / "run", schedule, options=options)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


# Validation


class Weight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(0.0))


def climb(model: nn.Module, batch: Tensor, generator: torch.Generator, done: float) -> tuple[Tensor, dict]:
    """Training pushes the weight up, a little differently in each step."""
    return -model.value * (1 + torch.rand((), generator=generator)), {}


def valley(model: nn.Module) -> dict[str, float]:
    return {"loss": (float(model.value) - 0.03) ** 2}


CLIMB = ContrastiveSchedule(
    images=60, batch_size=1, learning_rate=0.005, weight_decay=0.0, warmup=1 / 60, validate_images=2, patience=4, seed=1
)


def validated(out: Path, schedule: Schedule = CLIMB, **more: object) -> Path:
    accelerator = Accelerator(cpu=True)
    return train(Weight(), climb, 1, schedule, out, accelerator=accelerator, **{"validate": valley, **more})


def validation_losses(out: Path) -> list[float]:
    return [row["validation_loss"] for row in stats(out)]


def test_it_ends_when_patience_does_and_keeps_the_best(tmp_path: Path) -> None:
    weights = validated(tmp_path / "run")
    losses = validation_losses(tmp_path / "run")
    best = losses.index(min(losses))
    assert 0 < best == len(losses) - 1 - CLIMB.patience
    assert [row["images"] for row in stats(tmp_path / "run")] == list(range(0, 2 * len(losses), 2))
    assert len(losses) < 1 + CLIMB.images / CLIMB.validate_images
    assert float(load_file(weights)["value"]) == pytest.approx(0.03, abs=0.01)
    names = sorted(path.name for path in (tmp_path / "run").iterdir() if "tfevents" not in path.name)
    assert names == ["options.json", "stats.jsonl", "weights.safetensors"]


def test_without_improvement_the_beginning_is_kept(tmp_path: Path) -> None:
    weights = validated(tmp_path / "run", validate=lambda model: {"loss": float(model.value)})
    assert float(load_file(weights)["value"]) == 0.0
    assert len(stats(tmp_path / "run")) == 1 + CLIMB.patience


def test_the_last_step_ends_it_too(tmp_path: Path) -> None:
    validated(tmp_path / "run", replace(CLIMB, images=5))
    assert [row["images"] for row in stats(tmp_path / "run")] == [0, 2, 4, 5]


def test_a_validated_run_that_was_interrupted_ends_the_same(tmp_path: Path) -> None:
    whole = load_file(validated(tmp_path / "whole"))
    for fraction in (0.05, 0.1):
        assert not validated(tmp_path / "parts", stop_at=fraction).exists()
    assert torch.equal(load_file(validated(tmp_path / "parts"))["value"], whole["value"])
    assert validation_losses(tmp_path / "parts") == validation_losses(tmp_path / "whole")


def test_the_average_is_what_is_validated(tmp_path: Path) -> None:
    seen: list[float] = []

    def validate(model: nn.Module) -> dict[str, float]:
        seen.append(float(model.weight.detach().norm()))
        return {"loss": -float(len(seen))}

    schedule = replace(SCHEDULE, validate_images=40)
    weights = fit(tmp_path / "run", schedule, validate=validate)
    averages = plain(SCHEDULE)
    assert seen[1:] == pytest.approx([float(averages[step]["weight"].norm()) for step in (9, 19)], rel=1e-6)
    assert same(weights, averages[-1], 1e-6)


# Optimizers


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
