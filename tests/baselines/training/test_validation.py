"""Training with a validation: when it ends, and which weights it keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from small_runs import SCHEDULE, fit, plain, same, stats
from torch import Tensor, nn

from baselines.training.schedule import ContrastiveSchedule, Schedule
from baselines.training.trainer import train


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
