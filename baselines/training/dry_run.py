"""What a training would take: three of its steps are measured in each of its phases, the rest is extrapolated."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
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
) -> str:
    """Trains `model` for three steps in each phase, and says in lines what the whole training would take.

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
    per_step = schedule.batch_size * accelerator.num_processes
    before = _peak(device)
    phases, seconds = [], 0.0  # of a mean step
    for begin, end in pairwise([*sorted({0.0, *begins}), 1.0]):
        networks, moves = [], []
        for step in range(STEPS):
            start = _now(device)
            value, _ = loss(model, indices, torch.Generator().manual_seed(step), begin)
            accelerator.backward(value / schedule.accumulation)
            between = _now(device)
            accelerator.clip_grad_norm_(trained, schedule.clip_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            average.follow(step + 1)
            networks.append((between - start) * schedule.batch_size / size)
            moves.append(_now(device) - between)
        each = median(networks) + median(moves) / schedule.accumulation
        seconds += (end - begin) * each
        phases.append(f"            {begin:4.0%} … {end:4.0%}  {per_step / each:.2f} images/s")
    state = 4 * (4 + (average.ema is not None)) * parameters  # weights, gradients, the optimizer's moments, the average
    beside = max(0, _peak(device) - before - 3 * 4 * parameters)  # gradients and moments came
    beside = beside * schedule.batch_size // size  # what a step of the whole batch needs
    steps = max(1, schedule.images // per_step)
    where = f"{device.type}, {accelerator.mixed_precision.replace('no', 'float32')}"
    return "\n".join(
        [
            f"parameters  {parameters:,}",
            f"steps       {-(-steps // schedule.accumulation):,} of the optimizer,"
            f" {schedule.accumulation} × {per_step} images each",
            f"memory      about {(state + beside) / GB:.1f} GB: {state / GB:.1f} GB for"
            f" weights, gradients, optimizer and average, {beside / GB:.1f} GB for a step",
            f"time        about {duration(steps * seconds)}, from {STEPS} measured batches of {size}"
            f" images in each phase of the recipe ({where}):",
            *phases,
        ]
    )


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
