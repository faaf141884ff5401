"""Training until it stops helping: epochs, the best weights on held-out examples, patience. Resumable by the epoch."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from safetensors.torch import save
from torch import Tensor, nn

from baselines.hardware import training_memory_format
from baselines.training.trainer import options_of
from submission import atomic
from submission.progress import Progress

Loss = Callable[[nn.Module, torch.Generator], Tensor]  # of one batch, which it draws itself
Validate = Callable[[nn.Module], dict[str, float]]  # "loss", which decides, and other numbers to log


@dataclass(frozen=True)
class Plan:
    """How long to train at most, and how fast.

    Attributes:
        patience: epochs without a better validation loss after which it ends.
        learning_rate: after a warm-up of half an epoch; it falls as a cosine to nothing at the last epoch.
        betas, epsilon: of AdamW (CLIP's; Radford et al., arXiv 2103.00020, table 18).
    """

    epochs: int
    steps_per_epoch: int
    patience: int = 4
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.98)
    epsilon: float = 1e-6
    seed: int = 0

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        warmup = min(1.0, (step + 1) / max(1, self.steps_per_epoch // 2))
        return self.learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * step / (self.epochs * self.steps_per_epoch)))


def fit(
    model: nn.Module,
    loss: Loss,
    validate: Validate,
    plan: Plan,
    out: Path,
    *,
    accelerator: Accelerator,
    options: dict[str, object],
    stop_after: int | None = None,
) -> Path:
    """Trains `model` and returns the path of the weights that were best (`out/weights.safetensors`, float32).

    Args:
        validate: called before the first epoch too: weights that training only spoils are kept as they were.
        out: the run's folder, with `options.json`, `stats.jsonl` (an epoch a row), and `state/` until it is finished. A
            folder with a state of the same options is resumed, with others refused.
        options: what makes the run what it is, beside the plan.
        stop_after: leave after this epoch, resumable (for tests); the returned path then does not exist yet.

    One process trains, whatever `accelerator` knows of others.

    Raises:
        UsageError: `out` holds another run.
    """
    final, state = out / "weights.safetensors", out / "state"
    asked = options_of(out, {**asdict(plan), **options})
    if final.exists():
        return final
    out.mkdir(parents=True, exist_ok=True)
    atomic.write_json(out / "options.json", asked)
    set_seed(plan.seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=plan.learning_rate, betas=plan.betas, eps=plan.epsilon, weight_decay=plan.weight_decay
    )
    model = model.to(memory_format=training_memory_format(accelerator.device.type))
    # As for evaluation: without the wrapper that waits for other processes.
    model = accelerator.prepare_model(model, evaluation_mode=True)
    optimizer = accelerator.prepare_optimizer(optimizer)
    bare = accelerator.unwrap_model(model)
    rows: list[dict[str, float]] = []
    last = atomic.latest_folder(state)
    if last is not None:
        rows = json.loads((last / "rows.json").read_text())
        accelerator.load_state(str(last))

    def end_of_epoch(train_loss: float | None, speed: float | None) -> None:
        bare.eval()
        with torch.no_grad():
            row = {"epoch": len(rows), "train_loss": train_loss, "batches_per_second": speed, **validate(bare)}
        bare.train()
        rows.append({key: value if value is None else round(value, 5) for key, value in row.items()})
        if row["loss"] <= min(one["loss"] for one in rows[:-1] or [row]):
            weights = {name: value.detach().float().cpu().contiguous() for name, value in bare.state_dict().items()}
            atomic.write_bytes(out / "best.safetensors", save(weights))
        atomic.write_text(out / "stats.jsonl", "".join(f"{json.dumps(one)}\n" for one in rows))

    model.train()
    if not rows:
        end_of_epoch(None, None)
    done = (len(rows) - 1) * plan.steps_per_epoch
    with Progress(f"training {out.name}", plan.epochs * plan.steps_per_epoch, done=done) as progress:
        while len(rows) <= plan.epochs and not _out_of_patience(rows, plan.patience):
            if stop_after is not None and len(rows) > stop_after:
                return final
            begun, total = time.monotonic(), 0.0
            for step in range((len(rows) - 1) * plan.steps_per_epoch, len(rows) * plan.steps_per_epoch):
                for group in optimizer.param_groups:
                    group["lr"] = plan.rate(step)
                value = loss(model, torch.Generator().manual_seed(plan.seed * 1_000_003 + step))
                accelerator.backward(value)
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                total += float(value.detach())
                progress.advance()
            end_of_epoch(total / plan.steps_per_epoch, plan.steps_per_epoch / (time.monotonic() - begun))
            progress.advance(0, f"validation loss {rows[-1]['loss']:.4f} after epoch {rows[-1]['epoch']}")
            fresh = out / "state.part"
            atomic.remove_folder(fresh)
            accelerator.save_state(str(fresh))
            atomic.write_json(fresh / "rows.json", rows)
            atomic.replace_folder(fresh, state)
    (out / "best.safetensors").replace(final)
    atomic.remove_folder(state)
    return final


def _out_of_patience(rows: list[dict[str, float]], patience: int) -> bool:
    losses = [row["loss"] for row in rows]
    return len(losses) - 1 - losses.index(min(losses)) >= patience
