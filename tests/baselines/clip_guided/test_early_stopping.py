"""Epochs until the validation loss stops falling: which weights are kept, and that a killed run ends the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import nn

from baselines.clip_guided.early_stopping import Plan, fit
from submission.errors import UsageError


class Weight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(0.0))


def climb(model: nn.Module, generator: torch.Generator) -> torch.Tensor:
    """Training pushes the weight up, a little differently in each step."""
    return -model.value * (1 + torch.rand((), generator=generator))


def valley(model: nn.Module) -> dict[str, float]:
    return {"loss": (float(model.value) - 0.03) ** 2}


PLAN = Plan(epochs=30, steps_per_epoch=2, patience=4, learning_rate=0.005, weight_decay=0.0, seed=1)


def run(out: Path, plan: Plan = PLAN, **options: object) -> Path:
    return fit(Weight(), climb, valley, plan, out, accelerator=Accelerator(), options={"kind": "test"}, **options)


def rows(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "stats.jsonl").read_text().splitlines()]


def test_it_ends_when_patience_does_and_keeps_the_best(tmp_path: Path) -> None:
    weights = run(tmp_path / "run")
    losses = [row["loss"] for row in rows(tmp_path / "run")]
    best = losses.index(min(losses))
    assert 0 < best == len(losses) - 1 - PLAN.patience
    assert len(losses) < PLAN.epochs
    assert float(load_file(weights)["value"]) == pytest.approx(0.03, abs=0.01)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "options.json",
        "stats.jsonl",
        "weights.safetensors",
    ]


def test_without_improvement_the_beginning_is_kept(tmp_path: Path) -> None:
    weights = fit(
        Weight(),
        climb,
        lambda model: {"loss": float(model.value)},
        PLAN,
        tmp_path / "run",
        accelerator=Accelerator(),
        options={},
    )
    assert float(load_file(weights)["value"]) == 0.0
    assert len(rows(tmp_path / "run")) == 1 + PLAN.patience


def test_the_last_epoch_ends_it_too(tmp_path: Path) -> None:
    run(tmp_path / "run", Plan(epochs=2, steps_per_epoch=2, learning_rate=0.005))
    assert len(rows(tmp_path / "run")) == 3


def test_a_killed_run_ends_the_same(tmp_path: Path) -> None:
    whole = load_file(run(tmp_path / "whole"))
    for epoch in (1, 4):
        assert not run(tmp_path / "parts", stop_after=epoch).exists()
    parts = load_file(run(tmp_path / "parts"))
    assert torch.equal(parts["value"], whole["value"])
    assert [row["loss"] for row in rows(tmp_path / "parts")] == [row["loss"] for row in rows(tmp_path / "whole")]


def test_another_runs_folder_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "run", stop_after=1)
    with pytest.raises(UsageError, match="other options"):
        run(tmp_path / "run", Plan(epochs=2, steps_per_epoch=2))
