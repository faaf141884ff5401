"""Trainings of a linear model that take no time, and a plain loop that they are held against."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import Tensor, nn

from baselines.training.schedule import Schedule, indices
from baselines.training.trainer import train

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
