"""The one training loop: any module, any loss, on a CPU, a GPU or a cluster; resumable, with EMA, log and previews.

A run is a folder: `options.json` (what was asked), `stats.jsonl` (what happened), `state/` (where it stands, for
resuming), `previews/`, and at the end `weights.safetensors` (float32): the exponential moving average, or where there
is a validation the weights that did best in it.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor, nn

from baselines.hardware import training_memory_format
from baselines.training.average import Average
from baselines.training.log import Log, LossAndLog
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


@runtime_checkable
class Preview(Protocol[M_contra]):
    """A picture at `path` of what the averaged model draws."""

    def __call__(self, model: M_contra, path: Path) -> None: ...


def options_of(out: Path, asked: dict[str, object]) -> dict[str, object]:
    """What is asked of the run in `out`, as JSON has it. Raises UsageError when a run with other options is there."""
    asked = json.loads(json.dumps(asked))
    if (out / "options.json").exists() and json.loads((out / "options.json").read_text()) != asked:
        raise UsageError(
            f"{out} holds a run with other options (see its options.json); give another --out or remove it"
        )
    return asked


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


def train(
    model: M,
    loss: Loss[M],
    examples: int,
    schedule: Schedule,
    out: Path,
    *,
    accelerator: Accelerator,
    preview: Preview[M] | None = None,
    checkpoint: Callable[[M], None] | None = None,
    validate: Callable[[M], dict[str, float]] | None = None,
    options: dict[str, object] | None = None,
    compiled: bool = False,
    stop_at: float = 1.0,
) -> Path:
    """Trains `model` and returns the path of its averaged or best weights (`out/weights.safetensors`).

    Args:
        model: its trainable parameters are those with requires_grad.
        loss: called once a step with numbers below `examples`.
        examples: how many training examples there are.
        out: the run's folder. A folder with a state of the same options is resumed, with others refused.
        accelerator: decides device, precision and processes (`accelerate launch` for several); each run needs its own.
            Gradients are accumulated here, so it must accumulate none itself.
        preview: called with the averaged model and a path for a picture.
        checkpoint: called with the averaged model, to keep what draws; where the schedule asks for it.
        validate: measures the averaged model: its "loss", which decides, and other numbers to log. Called where the
            schedule asks for it, also before the first step: weights that training only spoils are kept as they were.
        options: further options that make the run what it is; kept in options.json.
        compiled: whether the model is compiled first: minutes, then faster.
        stop_at: leave after this fraction of the training, resumable (for tests and time limits); the path that is
            returned then does not exist yet.

    Raises:
        UsageError: `out` holds another run.
        ValueError: the accelerator accumulates gradients.
    """
    if accelerator.gradient_accumulation_steps != 1:  # its backward() would divide by the number of steps once more
        raise ValueError("accumulation is the schedule's: give an Accelerator without gradient_accumulation_steps")
    final, best, state = out / "weights.safetensors", out / "best.safetensors", out / "state"
    asked = options_of(out, {**asdict(schedule), **(options or {})})
    if final.exists():
        return final
    out.mkdir(parents=True, exist_ok=True)
    first = accelerator.is_main_process
    if first:
        atomic.write_json(out / "options.json", asked)
    set_seed(schedule.seed)
    # In its layout before its device: accelerate moves a model without changing the layout.
    model = model.to(memory_format=training_memory_format(accelerator.device.type)).to(accelerator.device)
    fused = accelerator.device.type == "cuda" and accelerator.scaler is None  # float16's gradients are scaled
    model, optimizer = accelerator.prepare(model, optimizer_of(model, schedule, fused=fused))
    bare: M = accelerator.unwrap_model(model)
    if compiled:
        compile_in_place(bare)
    trained = [parameter for parameter in bare.parameters() if parameter.requires_grad]
    average = Average(bare, schedule, accelerator)

    per_step = schedule.batch_size * accelerator.num_processes
    steps = max(1, schedule.images // per_step)
    begun = 0  # steps
    history: list[float] = []  # the loss of each validation
    last = atomic.latest_folder(state)
    if last and (last / "progress.json").exists():
        progress_so_far = json.loads((last / "progress.json").read_text())
        begun, history = progress_so_far["step"], progress_so_far["validations"]
        accelerator.load_state(str(last))
        average.resumed()

    def save_state(step: int) -> None:
        fresh = out / "state.part"
        if first:
            shutil.rmtree(fresh, ignore_errors=True)
        accelerator.wait_for_everyone()
        accelerator.save_state(str(fresh))
        accelerator.wait_for_everyone()  # each process writes its own random state
        if first:
            (fresh / "progress.json").write_text(json.dumps({"step": step, "validations": history}))
            atomic.replace_folder(fresh, state)
        accelerator.wait_for_everyone()

    def validated(step: int) -> str:
        """Measures the averaged model, keeps it where it is the best one so far, and logs; news for the progress."""
        assert validate is not None
        measured = average.used(validate)
        history.append(measured["loss"])
        if first and (len(history) == 1 or measured["loss"] <= min(history)):
            average.write(best)
        log.write(step * per_step, per_step, measured)
        save_state(step)
        return f"validation loss {measured['loss']:.4f}"

    def out_of_patience() -> bool:
        passed = len(history) - 1 - history.index(min(history)) if history else 0
        return _in_all(accelerator, 0 < schedule.patience <= passed)

    def due(images: int, every: int) -> bool:
        """Whether a multiple of `every` was passed since the optimizer moved before."""
        span = per_step * schedule.accumulation
        return every > 0 and (images % every < span or images == steps * per_step)

    validates = validate is not None and schedule.validate_images > 0
    log = Log(out / "stats.jsonl" if first else None, begun * per_step if begun or history else -1)
    progress = Progress(f"training {out.name}", steps * per_step, done=begun * per_step, show=first)
    model.train()
    note = ""
    with progress, log:
        if validates and not history:
            note = validated(0)
        saved = time.monotonic()
        for step in range(begun, steps):
            if validates and out_of_patience():
                break
            done = step / steps
            if done >= stop_at and step % schedule.accumulation == 0:
                save_state(step)
                return final
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate(step, steps)
            batch = indices(step, examples, per_step, schedule.seed)
            batch = batch[accelerator.process_index :: accelerator.num_processes]
            generator = torch.Generator().manual_seed(schedule.stream(step, accelerator.process_index))
            value, numbers = loss(bare, batch, generator, done)
            accelerator.backward(value / schedule.accumulation)
            measured: dict[str, float | Tensor] = {"loss": value.detach(), **numbers}
            moves = (step + 1) % schedule.accumulation == 0 or step + 1 == steps
            if moves:
                if accelerator.num_processes > 1:
                    # The wrapper that would do so does not see a loss that calls parts of the model.
                    for parameter in trained:
                        if parameter.grad is not None:
                            parameter.grad = accelerator.reduce(parameter.grad, "mean")
                measured["grad_norm"] = accelerator.clip_grad_norm_(trained, schedule.clip_norm).detach()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                average.follow(math.ceil((step + 1 - schedule.ema_from * steps) / schedule.accumulation))
            log.add(measured)
            shown = (step + 1) * per_step
            if accelerator.device.type != "cuda":  # where reading it would wait for what is still to be computed
                note = f"loss {float(value.detach()):.4f}"
            if log.count == LOG_STEPS or (step + 1 == steps and not validates):
                note = f"loss {log.write(shown, per_step)['loss']:.4f}"
            for fraction in schedule.keep_at:
                if done < fraction <= (step + 1) / steps and first:
                    average.write(out / f"weights-{fraction:g}.safetensors")
            if preview and first and schedule.preview_images and shown % schedule.preview_images < per_step:
                (out / "previews").mkdir(exist_ok=True)
                path = out / "previews" / f"{shown:09d}.png"
                average.used(partial(preview, path=path))
            kept = moves and due(shown, schedule.save_images)
            if kept and checkpoint and first:
                average.used(checkpoint)
            if validates and moves and due(shown, schedule.validate_images):
                note = validated(step + 1)
                saved = time.monotonic()
            # Only where no gradient is waiting to be used.
            elif kept or (moves and _in_all(accelerator, time.monotonic() - saved > schedule.save_minutes * 60)):
                save_state(step + 1)
                saved = time.monotonic()
            progress.advance(per_step, note)
    accelerator.wait_for_everyone()
    if first:
        if validates:
            best.replace(final)
        else:
            average.write(final)
        atomic.remove_folder(state)
    accelerator.wait_for_everyone()
    return final


def _in_all(accelerator: Accelerator, decided: bool) -> bool:
    """What the first process has decided, by its clock or its numbers, in every process."""
    if accelerator.num_processes == 1:
        return decided
    if accelerator.is_main_process and decided:
        accelerator.set_trigger()
    return bool(accelerator.check_trigger())
