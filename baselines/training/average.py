"""The exponential moving average of a model that is trained, and the use of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from safetensors.torch import save
from torch import nn

from baselines.training.schedule import Schedule
from submission import atomic

M = TypeVar("M", bound=nn.Module)
T = TypeVar("T")


class Average(Generic[M]):
    """The exponential moving average of a model's parameters; the parameters themselves where the decay is 0."""

    def __init__(self, model: M, schedule: Schedule, accelerator: Accelerator) -> None:
        self.model, self.schedule, self.device = model, schedule, accelerator.device
        self.ema = None
        if schedule.ema_decay:
            on_cuda = accelerator.device.type == "cuda"
            self.ema = EMAModel(model.parameters(), decay=schedule.ema_decay, foreach=on_cuda)
            self.ema.to(accelerator.device)
            accelerator.register_for_checkpointing(self.ema)

    def resumed(self) -> None:
        """To be called when a state was loaded: accelerate loads what is registered with it to the CPU."""
        if self.ema is not None:
            self.ema.to(self.device)

    def follow(self, moves: int) -> None:
        """After so many steps of the optimizer, counted from where the average begins."""
        if self.ema is not None:
            # A young average must forget its random start: the warm-up of TensorFlow's ExponentialMovingAverage.
            self.ema.decay = min(self.schedule.ema_decay, (1 + moves) / (10 + moves)) if moves > 0 else 0.0
            self.ema.min_decay = self.ema.decay
            self.ema.step(self.model.parameters())

    def used(self, use: Callable[[M], T]) -> T:
        """`use` of the model with the averaged weights, as for drawing."""
        parameters = list(self.model.parameters()) if self.ema is not None else []
        kept = [parameter.detach().clone() for parameter in parameters]
        if self.ema is not None:
            self.ema.copy_to(parameters)
        self.model.eval()
        with torch.no_grad():
            result = use(self.model)
            for parameter, before in zip(parameters, kept, strict=True):
                parameter.copy_(before)
        self.model.train()
        return result

    def write(self, path: Path) -> None:
        """The averaged parameters and the model's buffers as safetensors, float32."""
        shadows = self.model.parameters() if self.ema is None else self.ema.shadow_params
        named = zip(self.model.named_parameters(), shadows, strict=True)
        tensors = {name: shadow.detach().float() for (name, _), shadow in named}
        tensors |= {name: buffer.detach() for name, buffer in self.model.named_buffers() if buffer.is_floating_point()}
        atomic.write_bytes(path, save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}))
