"""What the trainings of all models do alike: begin, encode once, train, write what was trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from baselines.processes import in_the_first
from baselines.training.options import RunOptions
from baselines.training.pictures import encoded_once
from baselines.training.run import Loss, M, Preview
from baselines.training.schedule import Schedule
from submission.hashes import json_sha256


class Training:
    """What a training begins with: its options, their device, and their schedule with `others`; torch is seeded.

    The schedule's seed decides all that is random from here on. What is encoded before a network is made with random
    weights must take nothing of it, as it is encoded only once. Each run needs a training of its own.
    """

    def __init__(self, options: RunOptions, **others: Any) -> None:
        self.options, self.accelerator = options, options.accelerator()
        self.device = self.accelerator.device
        self.schedule = Schedule.of(options, **others)
        torch.manual_seed(self.schedule.seed)

    def encoded(
        self, kind: str, decides: object, encode: Callable[[], dict[str, Tensor]], home: Path | None = None
    ) -> dict[str, Tensor]:
        """`encoded_once` in a file of the run's folder, or of `home`.

        Its name says what was encoded and by what: what was made of others or by others is never taken for it.
        """
        file = (home or self.options.out) / f"{kind}-{json_sha256(decides)[:12]}.safetensors"
        return encoded_once(file, encode, self.accelerator)

    def train(
        self, model: M, loss: Loss[M], examples: int, preview: Preview[M] | None = None, /, **kept: object
    ) -> Path:
        """Trains `model`; the path of its averaged weights."""
        return self.options.train(model, loss, examples, self.schedule, self.accelerator, preview, **kept)

    def train_and_load(self, model: M, loss: Loss[M], examples: int, /, **kept: object) -> None:
        """As `train`, for a training that goes on with `model` in every process: it has its averaged weights then."""
        model.load_state_dict(load_file(self.train(model, loss, examples, **kept)))

    def train_and_print(
        self, model: M, loss: Loss[M], examples: int, preview: Preview[M] | None = None, /, **kept: object
    ) -> Path:
        """As `train`; the path is also printed."""
        weights = self.train(model, loss, examples, preview, **kept)
        self.accelerator.print(weights)
        return weights

    def finish(self, write: Callable[[Path], object], out: Path | None = None) -> Path:
        """Has the first process `write` what was trained into `out` (None: `model` in the run's folder); the folder."""
        out = out or self.options.out / "model"
        in_the_first(self.accelerator, lambda: write(out))
        return out
