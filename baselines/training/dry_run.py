"""What a training would take: three of its steps are measured in each of its phases, the rest is extrapolated."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from baselines.training.average import Average
from baselines.training.run import Loss, optimizer_of
from baselines.training.schedule import Schedule
from submission.progress import duration

STEPS = 3
CPU_IMAGES = 2  # a measured step on a CPU: the time of more is in proportion
GB = 2**30


@dataclass(frozen=True)
class Phase:
    """A part of a training, as fractions, and what each of its steps takes: the networks, and the optimizer's move."""

    begin: float
    end: float
    step_seconds: float
    move_seconds: float


@dataclass(frozen=True)
class Estimate:
    """What was measured, and what follows for the whole training."""

    phases: Sequence[Phase]
    parameters: int
    state_bytes: int  # weights, gradients, the optimizer's moments, the average
    step_bytes: int  # what a step of the whole batch needs beside

    def seconds(self, schedule: Schedule, processes: int) -> float:
        """Of all steps, by so many processes at a time."""
        steps = max(1, schedule.images // (schedule.batch_size * processes))
        each = [(p.end - p.begin) * (p.step_seconds + p.move_seconds / schedule.accumulation) for p in self.phases]
        return steps * sum(each)


def measured_batch(schedule: Schedule, device: torch.device) -> int:
    """How many images a measured step has."""
    return min(schedule.batch_size, CPU_IMAGES) if device.type == "cpu" else schedule.batch_size


def estimate(
    model: nn.Module,
    loss: Loss[Any],
    examples: int,
    begins: Sequence[float],
    schedule: Schedule,
    accelerator: Accelerator,
) -> Estimate:
    """Trains `model` for three steps in each phase.

    Args:
        examples: how many there are; a step takes the first ones.
        begins: where phases begin, as fractions of the training.
    """
    device = accelerator.device
    model, optimizer = accelerator.prepare(model, optimizer_of(model, schedule, fused=False))
    average = Average(accelerator.unwrap_model(model), schedule, accelerator)
    size = measured_batch(schedule, device)
    indices = torch.arange(size) % examples
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    parameters = sum(parameter.numel() for parameter in trained)
    copies = 4 + (average.ema is not None)
    before = _peak(device)
    phases = []
    for begin, end in pairwise([*sorted({0.0, *begins}), 1.0]):
        steps, moves = [], []
        for step in range(STEPS):
            start = _now(device)
            value, _ = loss(model, indices, torch.Generator().manual_seed(step), begin)
            accelerator.backward(value / schedule.accumulation)
            between = _now(device)
            accelerator.clip_grad_norm_(trained, schedule.clip_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            average.follow(step + 1)
            steps.append((between - start) * schedule.batch_size / size)
            moves.append(_now(device) - between)
        phases.append(Phase(begin, end, median(steps), median(moves)))
    state = 4 * copies * parameters
    beside = max(0, _peak(device) - before - 3 * 4 * parameters)  # gradients and moments came
    return Estimate(phases, parameters, state, beside * schedule.batch_size // size)


def report(found: Estimate, schedule: Schedule, accelerator: Accelerator) -> str:
    processes = accelerator.num_processes
    per_step = schedule.batch_size * processes
    steps = max(1, schedule.images // per_step)
    where = f"{accelerator.device.type}, {accelerator.mixed_precision.replace('no', 'float32')}"
    size = measured_batch(schedule, accelerator.device)
    moves = -(-steps // schedule.accumulation)
    lines = [
        f"parameters  {found.parameters:,}",
        f"steps       {moves:,} of the optimizer, {schedule.accumulation} × {per_step} images each",
        f"memory      about {(found.state_bytes + found.step_bytes) / GB:.1f} GB: {found.state_bytes / GB:.1f} GB for"
        f" weights, gradients, optimizer and average, {found.step_bytes / GB:.1f} GB for a step",
        f"time        about {duration(found.seconds(schedule, processes))}, from {STEPS} measured batches of {size}"
        f" images in each phase of the recipe ({where}):",
    ]
    for phase in found.phases:
        rate = schedule.batch_size * processes / (phase.step_seconds + phase.move_seconds / schedule.accumulation)
        lines.append(f"            {phase.begin:4.0%} … {phase.end:4.0%}  {rate:.2f} images/s")
    return "\n".join(lines)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _peak(device: torch.device) -> int:
    """The most memory, in bytes, that was in use so far: the device's, or this process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
