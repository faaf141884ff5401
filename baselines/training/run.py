"""A training under way: its steps, what it keeps and measures, and the state that it goes on from."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from baselines.hardware import training_memory_format
from baselines.training.average import Average
from baselines.training.log import Log
from baselines.training.losses import LossAndLog
from baselines.training.muon import Muon
from baselines.training.schedule import Schedule, indices
from submission import atomic
from submission.errors import UsageError
from submission.progress import Progress

M = TypeVar("M", bound=nn.Module)
M_contra = TypeVar("M_contra", bound=nn.Module, contravariant=True)
LOG_STEPS = 100  # in a row of the log


@runtime_checkable
class Loss(Protocol[M_contra]):
    """What a model is trained on.

    Args:
        model: itself, without the wrapper of several processes: gradients are averaged by the trainer.
        indices: int64 (batch,), example numbers, on the CPU.
        generator: on the CPU, of seed, step and process alone.
        done: the fraction, in [0, 1), of the training that is behind.

    Returns:
        The loss, and what to log beside it: numbers, or tensors of one value, which are read when the log is written.
    """

    def __call__(self, model: M_contra, indices: Tensor, generator: torch.Generator, done: float) -> LossAndLog: ...


# A picture at a path of what the averaged model draws.
Preview = Callable[[M, Path], None]


def train_only(model: nn.Module, *parts: str) -> None:
    """Freezes all of the model but these of its parts."""
    model.requires_grad_(False)
    for part in parts:
        model.get_submodule(part).requires_grad_(True)


def optimizer_of(model: nn.Module, schedule: Schedule, *, fused: bool) -> torch.optim.Optimizer:
    """The schedule's, for the parameters that are trained; `fused` (AdamW) where they are on a GPU already."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if schedule.optimizer == "muon":
        return Muon(trained, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    vectors = [] if schedule.decay_vectors else [parameter for parameter in trained if parameter.ndim <= 1]
    matrices = [parameter for parameter in trained if schedule.decay_vectors or parameter.ndim > 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=schedule.learning_rate,
        betas=schedule.betas,
        eps=schedule.epsilon,
        weight_decay=schedule.weight_decay,
        fused=fused or None,
    )


def compile_in_place(model: nn.Module) -> None:
    """`torch.compile` of the model and of the parts that a loss may call by themselves; when they are first called."""
    blocks = [block for part in model.modules() if isinstance(part, nn.ModuleList) for block in part]
    for module in (model, *model.children(), *blocks):
        module.compile()


@dataclass(eq=False)
class Run(Generic[M]):
    """A training in its folder: what is trained and how far it is, begun or resumed.

    Attributes:
        model: itself, without the wrapper of several processes.
        measure: the validation, None where the schedule asks for none.
        images_per_step: over all processes.
        steps, steps_done: of the training, in all and so far.
        validations: the loss of each validation so far.
        saved_at: when the state was written, or the run begun, by `time.monotonic`.
        note: news for the progress.
    """

    model: M
    loss: Loss[M]
    examples: int
    schedule: Schedule
    out: Path
    accelerator: Accelerator
    measure: Callable[[M], dict[str, float]] | None
    compiled: bool

    def __post_init__(self) -> None:
        accelerator, schedule = self.accelerator, self.schedule
        self.is_main = accelerator.is_main_process
        # In its layout before its device: accelerate moves a model without changing the layout.
        model = self.model.to(memory_format=training_memory_format(accelerator.device.type)).to(accelerator.device)
        fused = accelerator.device.type == "cuda" and accelerator.scaler is None  # float16's gradients are scaled
        model, self.optimizer = accelerator.prepare(model, optimizer_of(model, schedule, fused=fused))
        model.train()
        self.model = accelerator.unwrap_model(model)
        if self.compiled:
            compile_in_place(self.model)
        self.trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.average = Average(self.model, schedule, accelerator)
        self.images_per_step: int = schedule.batch_size * accelerator.num_processes
        self.steps = max(1, schedule.images // self.images_per_step)
        self.steps_done, self.validations = 0, list[float]()
        self._resume()
        logged_until = self.images if self.steps_done or self.validations else -1
        self.log = Log(self.out / "stats.jsonl" if self.is_main else None, logged_until)
        in_all = self.steps * self.images_per_step
        self.progress = Progress(f"training {self.out.name}", in_all, done=self.images, show=self.is_main)
        self.saved_at, self.note = time.monotonic(), ""

    def _resume(self) -> None:
        """Where the folder has a state, goes on from it. Raises UsageError where its steps were of another size."""
        state = atomic.latest_folder(self.out / "state")
        if state and (state / "progress.json").exists():
            progress = json.loads((state / "progress.json").read_text())
            if (size := progress.get("images_per_step", self.images_per_step)) != self.images_per_step:
                raise UsageError(
                    f"{self.out} holds a run whose steps are of {size} images, over all its processes; these would be "
                    f"of {self.images_per_step}: go on with as many processes as before, or give another --out"
                )
            self.steps_done, self.validations = progress["step"], progress["validations"]
            self.accelerator.load_state(str(state))
            self.average.resumed()

    @property
    def images(self) -> int:
        """Shown so far, over all processes."""
        return self.steps_done * self.images_per_step

    @property
    def moved(self) -> bool:
        """Whether the optimizer moved in the last step, so that no gradient is waiting to be used."""
        return self.steps_done % self.schedule.accumulation == 0 or self.steps_done == self.steps

    def passed(self, every: int, steps: int = 1) -> bool:
        """Whether the last so many steps passed a multiple of `every` images; 0: never."""
        return every > 0 and self.images % every < steps * self.images_per_step

    def due(self, every: int) -> bool:
        """What is done every so many images (0: never) and at the end, where the optimizer moved: whether it is now."""
        at_end = self.steps_done == self.steps
        return every > 0 and self.moved and (at_end or self.passed(every, self.schedule.accumulation))

    def long_unsaved(self) -> bool:
        """Whether the state is older than the schedule allows."""
        return _in_all(self.accelerator, time.monotonic() - self.saved_at > self.schedule.save_minutes * 60)

    def out_of_patience(self) -> bool:
        """Whether too many validations passed since the best one."""
        losses = self.validations
        if not losses:
            return False
        since_best = len(losses) - 1 - losses.index(min(losses))
        return _in_all(self.accelerator, 0 < self.schedule.patience <= since_best)

    def step(self) -> None:
        """Adds the gradients of a batch, moves the optimizer where they are enough, and logs."""
        schedule, accelerator, step = self.schedule, self.accelerator, self.steps_done
        for group in self.optimizer.param_groups:
            group["lr"] = schedule.rate(step, self.steps)
        batch = indices(step, self.examples, self.images_per_step, schedule.seed)
        batch = batch[accelerator.process_index :: accelerator.num_processes]
        generator = torch.Generator().manual_seed(schedule.stream(step, accelerator.process_index))
        loss, numbers = self.loss(self.model, batch, generator, step / self.steps)
        accelerator.backward(loss / schedule.accumulation)
        measured: dict[str, float | Tensor] = {"loss": loss.detach(), **numbers}
        self.steps_done += 1
        if self.moved:
            measured["grad_norm"] = self._move()
        self.log.add(measured)
        if accelerator.device.type != "cuda":  # where reading it would wait for what is still to be computed
            self.note = f"loss {float(loss.detach()):.4f}"
        # At the end the validation, where there is one, writes the row.
        if self.log.count == LOG_STEPS or (self.steps_done == self.steps and self.measure is None):
            self.note = f"loss {self.log.write(self.images, self.images_per_step)['loss']:.4f}"

    def _move(self) -> Tensor:
        """Moves the optimizer, and the average after it; the norm of the gradients before they were clipped."""
        if self.accelerator.num_processes > 1:
            # The wrapper that would do so does not see a loss that calls parts of the model.
            for parameter in self.trained:
                if parameter.grad is not None:
                    parameter.grad = self.accelerator.reduce(parameter.grad, "mean")
        norm: Tensor = self.accelerator.clip_grad_norm_(self.trained, self.schedule.clip_norm).detach()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        # The average counts moves, not steps, and from where it begins; the last move may have taken fewer steps.
        steps_averaged = self.steps_done - self.schedule.ema_from * self.steps
        self.average.follow(math.ceil(steps_averaged / self.schedule.accumulation))
        return norm

    def keep(self, preview: Preview[M] | None, checkpoint: Callable[[M], None] | None) -> None:
        """After a step, what the schedule keeps of the averaged model: weights, a preview, a checkpoint that draws."""
        if not self.is_main:
            return
        for fraction in self.schedule.keep_at:
            if (self.steps_done - 1) / self.steps < fraction <= self.steps_done / self.steps:
                self.average.write(self.out / f"weights-{fraction:g}.safetensors")
        if preview and self.passed(self.schedule.preview_images):
            (self.out / "previews").mkdir(exist_ok=True)
            path = self.out / "previews" / f"{self.images:09d}.png"
            self.average.used(lambda model: preview(model, path))
        if checkpoint and self.due(self.schedule.save_images):
            self.average.used(checkpoint)

    def validate(self) -> None:
        """Measures the averaged model, keeps it where it is the best one so far, logs, and saves."""
        assert self.measure is not None
        measured = self.average.used(self.measure)
        self.validations.append(measured["loss"])
        if self.is_main and (len(self.validations) == 1 or measured["loss"] <= min(self.validations)):
            self.average.write(self.out / "best.safetensors")
        self.log.write(self.images, self.images_per_step, measured)
        self.save()
        self.note = f"validation loss {measured['loss']:.4f}"

    def save(self) -> None:
        """Writes the state from which `_resume` goes on."""
        fresh = self.out / "state.part"
        if self.is_main:
            shutil.rmtree(fresh, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(fresh))
        self.accelerator.wait_for_everyone()  # each process writes its own random state
        if self.is_main:
            progress = {
                "step": self.steps_done, "validations": self.validations, "images_per_step": self.images_per_step
            }  # fmt: skip
            (fresh / "progress.json").write_text(json.dumps(progress))
            atomic.replace_folder(fresh, self.out / "state")
        self.accelerator.wait_for_everyone()
        self.saved_at = time.monotonic()

    def finish(self, final: Path) -> None:
        """Writes the best or the averaged weights to `final`, and removes the state."""
        self.accelerator.wait_for_everyone()
        if self.is_main:
            if self.measure is not None:
                (self.out / "best.safetensors").replace(final)
            else:
                self.average.write(final)
            atomic.remove_folder(self.out / "state")
        self.accelerator.wait_for_everyone()


def _in_all(accelerator: Accelerator, decided: bool) -> bool:
    """What the first process has decided, by its clock or its numbers, in every process."""
    if accelerator.num_processes == 1:
        return decided
    if accelerator.is_main_process and decided:
        accelerator.set_trigger()
    return bool(accelerator.check_trigger())
