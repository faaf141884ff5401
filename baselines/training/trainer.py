"""The one training loop: any module, any loss, on a CPU, a GPU or a cluster; resumable, with EMA, log and previews.

A run is a folder: `options.json` (what was asked), `stats.jsonl` (what happened), `state/` (where it stands, for
resuming), `previews/`, and at the end `weights.safetensors` (the exponential moving average, float32).
Everything is counted in images, not in steps or epochs, so that another batch size means the same schedule.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from diffusers.training_utils import EMAModel
from safetensors.torch import save
from torch import Tensor, nn

from baselines.hardware import training_memory_format
from baselines.training.muon import Muon
from submission import atomic
from submission.errors import UsageError
from submission.progress import Progress

# loss(model, indices, generator, done) -> (scalar, numbers to log); `done`, in [0, 1): the share that is behind us.
Loss = Callable[[nn.Module, Tensor, torch.Generator, float], tuple[Tensor, dict[str, float]]]
Preview = Callable[[nn.Module, Path], None]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train."""

    images: int  # training images shown in all, over all processes
    batch_size: int = 32  # images a step and process
    accumulation: int = 1  # steps whose gradients are added up before the optimizer moves
    learning_rate: float = 1e-3  # at its peak
    weight_decay: float = 1e-2
    warmup: float = 0.03  # share of the training in which the rate rises from 0
    final_rate: float = 0.02  # share of the peak at which the cosine ends
    clip_norm: float = 1.0  # gradients' norm at most
    ema_decay: float = 0.999  # per step n of the optimizer; at first (1 + n) / (10 + n), and 0 at the very first
    ema_from: float = 0.0  # share of the training from which weights are averaged; before it the average follows them
    optimizer: str = "adamw"  # or "muon"
    seed: int = 0
    save_minutes: float = 5.0  # how often the state is written
    preview_images: int = 0  # a preview every so many images; 0: none
    keep_at: tuple[float, ...] = ()  # at these shares the EMA weights are kept as weights-{share}.safetensors

    def rate(self, done: float) -> float:
        """The learning rate at share `done` of the training: linear warm-up, then a half cosine."""
        if done < self.warmup:
            return self.learning_rate * (done / self.warmup)
        wave = 0.5 * (1 + math.cos(math.pi * (done - self.warmup) / (1 - self.warmup)))
        return self.learning_rate * (self.final_rate + (1 - self.final_rate) * wave)


def options_of(out: Path, asked: dict[str, object]) -> dict[str, object]:
    """What is asked of the run in `out`, as JSON has it. Raises UsageError when a run with other options is there."""
    asked = json.loads(json.dumps(asked))
    if (out / "options.json").exists() and json.loads((out / "options.json").read_text()) != asked:
        raise UsageError(
            f"{out} holds a run with other options (see its options.json); give another --out or remove it"
        )
    return asked


def indices(step: int, count: int, size: int, seed: int) -> Tensor:
    """The `size` example numbers (int64) of a step, a function of the step alone; each epoch is a new permutation."""
    first = step * size
    picked = []
    for epoch in range(first // count, (first + size - 1) // count + 1):
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
        picked.append(order[max(0, first - epoch * count) : first + size - epoch * count])
    return torch.cat(picked)


def _write_ema(path: Path, ema: EMAModel, model: nn.Module) -> None:
    names = [name for name, _ in model.named_parameters()]
    tensors = {
        name: shadow.detach().float().cpu().contiguous() for name, shadow in zip(names, ema.shadow_params, strict=True)
    }
    tensors |= {
        name: buffer.detach().cpu().contiguous() for name, buffer in model.named_buffers() if buffer.is_floating_point()
    }
    atomic.write_bytes(path, save(tensors))


def _forget_after(log: Path, images: int) -> None:
    """Drops the log's rows past `images`: a resumed run goes that way again."""
    if log.exists():
        rows = log.read_text(encoding="utf-8").splitlines()
        kept = [row for row in rows if row.endswith("}") and json.loads(row)["images"] <= images]
        atomic.write_text(log, "".join(f"{row}\n" for row in kept))


def train(
    model: nn.Module,
    loss: Loss,
    examples: int,
    schedule: Schedule,
    out: Path,
    *,
    accelerator: Accelerator,
    preview: Preview | None = None,
    options: dict[str, object] | None = None,
    stop_at: float = 1.0,
) -> Path:
    """Trains `model` and returns the path of its averaged weights (`out/weights.safetensors`).

    Args:
        model: its trainable parameters are those with requires_grad.
        loss: called once a step with int64 indices (batch,) below `examples` and a generator on the CPU that depends on
            seed, step and process alone.
        examples: how many training examples there are.
        out: the run's folder. A folder with a state of the same options is resumed, with others refused.
        accelerator: decides device, precision and processes (`accelerate launch` for several); each run needs its own.
            Gradients are accumulated here, so it must not be told of accumulation.
        preview: called with the averaged model and a path for a picture.
        options: further options that make the run what it is; kept in options.json.
        stop_at: leave after this share of the training, resumable (for tests and time limits); the path that is
            returned then does not exist yet.

    Raises:
        UsageError: `out` holds another run.
        ValueError: the accelerator accumulates gradients.
    """
    if accelerator.gradient_accumulation_steps != 1:  # its backward() would divide by the number of steps once more
        raise ValueError("accumulation is the schedule's: give an Accelerator without gradient_accumulation_steps")
    final = out / "weights.safetensors"
    asked = options_of(out, {**asdict(schedule), **(options or {})})
    if final.exists():
        return final
    out.mkdir(parents=True, exist_ok=True)
    if accelerator.is_main_process:
        atomic.write_json(out / "options.json", asked)
    set_seed(schedule.seed)
    trained = [p for p in model.parameters() if p.requires_grad]
    kind = {"adamw": torch.optim.AdamW, "muon": Muon}[schedule.optimizer]
    optimizer = kind(trained, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    ema = EMAModel(model.parameters(), decay=schedule.ema_decay, use_ema_warmup=False)
    # Before its device: accelerate moves a model without changing its layout.
    model = model.to(memory_format=training_memory_format(accelerator.device.type))
    model, optimizer = accelerator.prepare(model, optimizer)
    bare = accelerator.unwrap_model(model)
    ema.to(accelerator.device)
    accelerator.register_for_checkpointing(ema)

    per_step = schedule.batch_size * accelerator.num_processes
    steps = max(1, schedule.images // per_step)
    state, begun = out / "state", 0
    last = atomic.latest_folder(state)
    if last and (last / "progress.json").exists():
        begun = json.loads((last / "progress.json").read_text())["step"]
        accelerator.load_state(str(last))
        ema.to(accelerator.device)  # accelerate loads what is registered with it to the CPU

    def save(step: int) -> None:
        fresh = out / "state.part"
        if accelerator.is_main_process:
            shutil.rmtree(fresh, ignore_errors=True)
        accelerator.wait_for_everyone()
        accelerator.save_state(str(fresh))
        accelerator.wait_for_everyone()  # each process writes its own random state
        if accelerator.is_main_process:
            (fresh / "progress.json").write_text(json.dumps({"step": step}))
            atomic.replace_folder(fresh, state)
        accelerator.wait_for_everyone()

    def with_ema(use: Callable[[], None]) -> None:
        ema.store(bare.parameters())
        ema.copy_to(bare.parameters())
        bare.eval()
        with torch.no_grad():
            use()
        bare.train()
        ema.restore(bare.parameters())

    saved = logged = time.monotonic()
    sums: dict[str, list[float]] = {}
    count = 0
    progress = Progress(
        f"training {out.name}", steps * per_step, done=begun * per_step, show=accelerator.is_main_process
    )
    model.train()
    if accelerator.is_main_process:
        _forget_after(out / "stats.jsonl", begun * per_step)
    with progress, open(out / "stats.jsonl", "a", encoding="utf-8") as log:
        for step in range(begun, steps):
            done = step / steps
            if done >= stop_at and step % schedule.accumulation == 0:
                save(step)
                return final
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate(done)
            batch = indices(step, examples, per_step, schedule.seed)[
                accelerator.process_index :: accelerator.num_processes
            ]
            noise = torch.Generator().manual_seed((schedule.seed * 1_000_003 + step) * 1009 + accelerator.process_index)
            value, numbers = loss(model, batch, noise, done)
            accelerator.backward(value / schedule.accumulation)
            moves = (step + 1) % schedule.accumulation == 0 or step + 1 == steps
            if moves:
                if accelerator.num_processes > 1:
                    # The wrapper that averages gradients does not see a loss that calls parts of the model.
                    for parameter in trained:
                        if parameter.grad is not None:
                            parameter.grad = accelerator.reduce(parameter.grad, "mean")
                numbers["grad_norm"] = float(accelerator.clip_grad_norm_(trained, schedule.clip_norm))
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                # A young average must forget its random start: the warm-up of TensorFlow's ExponentialMovingAverage.
                n = math.ceil((step + 1 - schedule.ema_from * steps) / schedule.accumulation)
                ema.decay = min(schedule.ema_decay, (1 + n) / (10 + n)) if n > 0 else 0.0
                ema.min_decay = ema.decay
                ema.step(bare.parameters())
            for key, number in {"loss": float(value.detach()), **numbers}.items():
                sums.setdefault(key, []).append(number)
            count += 1
            shown = (step + 1) * per_step
            progress.advance(per_step, f"loss {float(value.detach()):.4f}")
            if count == 100 or step + 1 == steps:
                speed = count * per_step / (time.monotonic() - logged)
                row = {
                    "images": shown,
                    "images_per_second": round(speed, 1),
                    **{key: round(sum(values) / len(values), 6) for key, values in sums.items()},
                }
                if accelerator.is_main_process:
                    log.write(json.dumps(row) + "\n")
                    log.flush()
                sums, count, logged = {}, 0, time.monotonic()
            for share in schedule.keep_at:
                if done < share <= (step + 1) / steps and accelerator.is_main_process:
                    _write_ema(out / f"weights-{share:g}.safetensors", ema, bare)
            if (
                preview
                and schedule.preview_images
                and accelerator.is_main_process
                and shown % schedule.preview_images < per_step
            ):
                (out / "previews").mkdir(exist_ok=True)
                with_ema(lambda: preview(bare, out / "previews" / f"{shown:09d}.png"))  # noqa: B023 - called at once
            # One process's clock decides, and only where no gradient is waiting to be used.
            if accelerator.is_main_process and time.monotonic() - saved > schedule.save_minutes * 60:
                accelerator.set_trigger()
            if moves and accelerator.check_trigger():
                save(step + 1)
                saved = time.monotonic()
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        _write_ema(final, ema, bare)
        atomic.remove_folder(state)
    accelerator.wait_for_everyone()
    return final
