"""The one training loop: any module, any loss, on a CPU, a GPU or a cluster; resumable, with EMA, log and previews.

A run is a folder: `options.json` (what was asked), `stats.jsonl` (what happened), `state/` (where it stands, for
resuming), `previews/`, and at the end `weights.safetensors` (float32): the exponential moving average, or where there
is a validation the weights that did best in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import nn

from baselines.training.run import Loss, Preview, Run
from baselines.training.schedule import Schedule
from submission import atomic
from submission.errors import UsageError

M = TypeVar("M", bound=nn.Module)


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
        loss, examples: called once a step with numbers below `examples`, how many there are.
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
        UsageError: `out` holds another run, or one of another number of processes.
        ValueError: the accelerator accumulates gradients.
    """
    if accelerator.gradient_accumulation_steps != 1:  # its backward() would divide by the number of steps once more
        raise ValueError("accumulation is the schedule's: give an Accelerator without gradient_accumulation_steps")
    final, kept = out / "weights.safetensors", out / "options.json"
    asked = json.loads(json.dumps({**asdict(schedule), **(options or {})}))  # as the file has it
    if kept.exists() and json.loads(kept.read_text()) != asked:
        raise UsageError(
            f"{out} holds a run with other options (see its options.json); give another --out or remove it"
        )
    if final.exists():
        return final
    out.mkdir(parents=True, exist_ok=True)
    if accelerator.is_main_process:
        atomic.write_json(kept, asked)
    set_seed(schedule.seed)
    measure = validate if schedule.validate_images > 0 else None
    run = Run(model, loss, examples, schedule, out, accelerator, measure, compiled)
    with closing(run.log), run.progress:
        if measure and not run.validations:
            run.validate()
        while run.steps_done < run.steps and not run.out_of_patience():
            if run.steps_done / run.steps >= stop_at and run.moved:
                run.save()
                return final
            run.step()
            run.keep(preview, checkpoint)
            if measure and run.due(schedule.validate_images):
                run.validate()
            elif run.due(schedule.save_images) or (run.moved and run.long_unsaved()):
                run.save()
            run.progress.advance(run.images_per_step, run.note)
    run.finish(final)
    return final
