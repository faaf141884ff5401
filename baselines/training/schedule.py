"""How long and how fast to train, which examples each step sees, and which random numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Literal, Self

import torch
from jaxtyping import Int64
from torch import Tensor


@dataclass(frozen=True)
class Schedule:
    """Everything is counted in images, not in steps or epochs, so that another batch size means the same schedule."""

    images: int  # training images shown in all, over all processes
    batch_size: int = 32  # images a step and process
    accumulation: int = 1  # steps whose gradients are added up before the optimizer moves
    learning_rate: float = 1e-3  # at its peak
    weight_decay: float = 1e-2  # of AdamW and Muon
    betas: tuple[float, float] = (0.9, 0.999)  # of AdamW, as is the next one
    epsilon: float = 1e-8
    decay_vectors: bool = True  # False: no weight decay for biases, norms and other parameters of one dimension
    warmup: float = 0.03  # fraction of the training in which the rate rises from 0
    final_rate: float = 0.02  # fraction of the peak at which the cosine ends; 1: the rate stays
    clip_norm: float = 1.0  # gradients' norm at most
    ema_decay: float = 0.999  # of the average, a step n; at first (1 + n) / (10 + n); 0: no average
    ema_from: float = 0.0  # fraction of the training from which weights are averaged; before, it follows
    optimizer: Literal["adamw", "muon"] = "adamw"  # what moves the weights
    seed: int = 0  # of all random numbers
    save_minutes: float = 5.0  # how often the state is written
    save_images: int = 0  # the state, and a checkpoint that draws, every so many images as well; 0: none
    preview_images: int = 0  # a preview every so many images; 0: none
    keep_at: tuple[float, ...] = ()  # fractions at which the average is kept as weights-{fraction}.safetensors
    validate_images: int = 0  # a validation at the start, every so many images and at the end; 0: none
    patience: int = 0  # validations without a better loss after which the training ends; 0: it goes on to its end

    @classmethod
    def of(cls, options: object, **others: Any) -> Self:
        """With those of its fields that a training's `options` have, and `others`."""
        asked = {each.name: getattr(options, each.name) for each in fields(cls) if hasattr(options, each.name)}
        return cls(**{**asked, **others})

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step, counted from 0, of so many: linear warm-up, then a half cosine."""
        done = step / steps
        if done < self.warmup:
            return self.learning_rate * (done / self.warmup)
        wave = 0.5 * (1 + math.cos(math.pi * (done - self.warmup) / (1 - self.warmup)))
        return self.learning_rate * (self.final_rate + (1 - self.final_rate) * wave)

    def stream(self, step: int, process: int) -> int:
        """The seed of the random numbers of one process in one step."""
        return (self.seed * 1_000_003 + step) * 1009 + process


@dataclass(frozen=True)
class SharedSchedule(Schedule):
    """All processes draw the random numbers of the whole batch, of which each takes its part: several train what one
    does at the same total batch."""

    def stream(self, step: int, process: int) -> int:
        return super().stream(step, 0)


@dataclass(frozen=True)
class ContrastiveSchedule(Schedule):
    """As CLIP was trained (Radford et al., arXiv 2103.00020, table 18): AdamW's constants; a cosine over the whole
    training, which the warm-up multiplies from its first step on."""

    betas: tuple[float, float] = (0.9, 0.98)
    epsilon: float = 1e-6
    final_rate: float = 0.0
    ema_decay: float = 0.0

    def rate(self, step: int, steps: int) -> float:
        warmup = min(1.0, (step + 1) / max(1, round(self.warmup * steps)))
        wave = 0.5 * (1 + math.cos(math.pi * step / steps))
        return self.learning_rate * warmup * (self.final_rate + (1 - self.final_rate) * wave)

    def stream(self, step: int, process: int) -> int:
        return self.seed * 1_000_003 + step + 2**40 * process


def indices(step: int, count: int, size: int, seed: int) -> Int64[Tensor, " size"]:
    """The `size` example numbers of a step, a function of the step alone; each epoch is a new permutation."""
    first = step * size
    picked = []
    for epoch in range(first // count, (first + size - 1) // count + 1):
        picked.append(_order(epoch, count, seed)[max(0, first - epoch * count) : first + size - epoch * count])
    return torch.cat(picked)


@lru_cache(maxsize=2)
def _order(epoch: int, count: int, seed: int) -> Int64[Tensor, " count"]:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
