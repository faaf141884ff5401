"""python -m scorer.train [classifier|clip]: train the bestiary's backbones anew and write them to scorer/weights.

The CLIP is trained as Radford et al. (arXiv 2103.00020, section 2.3) describe; the classifier on all its heads at once.
Needs accelerate (the `baselines` extra). A run leaves its log and its state in its folder and can be interrupted.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from scorer.device import training_precision
from scorer.networks import embedded
from scorer.networks.resize import open_clip_resize
from submission import atomic, commands, launcher, paths
from submission.errors import run
from submission.progress import Progress, track

if TYPE_CHECKING:
    from accelerate import Accelerator

PRESETS = {
    "classifier": (330_000, 64, 2e-3, 0),
    "clip": (150_000, 128, 1.5e-3, 1),
}  # images, batch size, learning rate, seed
JITTER = (0.15, 0.08, 0.08, 0.08)  # radians, share of the size, shares of half the width and height
TINT = 0.05, 5.0  # share by which a colour channel is stretched, grey levels by which it is shifted, at most
FORGET = 0.06  # share of tokens taken for unknown while training


def read_pictures(data: Path) -> tuple[Tensor, list[str]]:
    """uint8 (N, 3, 64, 64) and the entry key of each, from the drawn training set."""
    files = sorted((data / "train").glob("*.png"))
    images = [np.asarray(Image.open(file)) for file in track(files, "reading pictures")]
    keys = [file.stem.rpartition("_")[0] for file in files]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(), keys


def roughened(x: Tensor, generator: torch.Generator) -> Tensor:
    """float (B, 3, H, W) in 0..255 -> moved, turned, zoomed, a little off in colour, sometimes blurred, noisy.

    Generated pictures are neither as crisp nor as exact as drawn ones, and a network that has seen each monster in one
    place only learns the monster by heart. One that has seen only the palette itself reads a red that is five levels
    off as nothing it knows.
    """
    angle, zoom, dx, dy = (torch.rand(4, len(x), generator=generator) * 2 - 1) * torch.tensor(JITTER)[:, None]
    cosine, sine = (1 + zoom) * angle.cos(), (1 + zoom) * angle.sin()
    affine = torch.stack([cosine, -sine, dx, sine, cosine, dy], dim=1).view(-1, 2, 3).to(x.device)
    grid = functional.affine_grid(affine, list(x.shape), align_corners=False)
    x = functional.grid_sample(x - 255, grid, align_corners=False) + 255
    stretch, shift = (torch.rand(2, len(x), 3, 1, 1, generator=generator) * 2 - 1).to(x.device)
    x = x * (1 + TINT[0] * stretch) + TINT[1] * shift
    blur = torch.rand(len(x), 1, 1, 1, generator=generator).to(x.device) * (torch.rand((), generator=generator) < 0.5)
    x = x + blur * (functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False) - x)
    return x + 8 * torch.rand((), generator=generator) * torch.randn(x.shape, generator=generator).to(x.device)


def classifier_task(data: Path) -> tuple[nn.Module, Callable, int]:
    """The model, its loss over example indices, and the number of examples."""
    images, keys = read_pictures(data)
    attributes = json.loads((data / "train_attributes.json").read_text())
    rows = [attributes[key] for key in keys]
    columns = {
        "kind": [f"{row['colours'][0]} {row['body']}" for row in rows],
        "body": [row["body"] for row in rows],
        "colour": [row["colours"][0] for row in rows],
        "second colour": [row["colours"][1] if len(row["colours"]) > 1 else "none" for row in rows],
        "item": [row["item"] for row in rows],
        "action": [row["action"] for row in rows],
    }
    labels = {head: sorted(set(column)) for head, column in columns.items()}
    labels["features"] = sorted({feature for row in rows for feature in row["features"]})
    targets = {head: torch.tensor([labels[head].index(name) for name in column]) for head, column in columns.items()}
    worn = torch.tensor([[float(feature in row["features"]) for feature in labels["features"]] for row in rows])
    model = embedded.BestiaryClassifier({head: labels[head] for head in embedded.HEADS})

    def loss(
        model: nn.Module, batch: Tensor, generator: torch.Generator, device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        features = model.features(roughened(images[batch].to(device).float(), generator)).float()
        outputs = {head: model.heads[head](features).float() for head in embedded.HEADS}
        losses = {head: functional.cross_entropy(outputs[head], targets[head][batch].to(device)) for head in columns}
        losses["second colour"] = 2 * losses["second colour"]
        losses["features"] = 6 * functional.binary_cross_entropy_with_logits(
            outputs["features"], worn[batch].to(device)
        )
        right = (outputs["kind"].argmax(1).cpu() == targets["kind"][batch]).float().mean()
        return sum(losses.values()), {"kind_accuracy": float(right), "features": float(losses["features"].detach())}

    return model, loss, len(images)


def clip_task(data: Path) -> tuple[nn.Module, Callable, int]:
    """The model, its loss over example indices, and the number of examples."""
    small, keys = read_pictures(data)
    info = json.loads((data / "train_info.json").read_text())
    captions = {
        key: [f"{text} {row['action_description']}".strip() for text in row["given_description"]]
        for key, row in info.items()
    }
    tokenize = embedded.tokenizer()
    tokens = {key: tokenize(texts) for key, texts in captions.items()}
    known = torch.unique(torch.cat(list(tokens.values())))
    model = embedded.build_clip(known)
    images = torch.cat([open_clip_resize(part, model.visual.image_size[0]) for part in small.split(512)])
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) * 255 for values in (MEAN, STD))
    start, end = known[-2], known[-1]  # 49406 and 49407

    def loss(
        model: nn.Module, batch: Tensor, generator: torch.Generator, device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        rng = random.Random(int(torch.randint(2**31, (), generator=generator)))
        x = (roughened(images[batch].to(device).float(), generator) - mean.to(device)) / std.to(device)
        words = torch.stack([rng.choice(tokens[keys[i]]) for i in batch.tolist()])
        forget = (
            (torch.rand(words.shape, generator=generator) < FORGET) & (words != start) & (words != end) & (words != 0)
        )
        image, text, scale = model(x, torch.where(forget, UNKNOWN, words).to(device))
        logits = scale.clamp(max=100).float() * image.float() @ text.float().T
        target = torch.arange(len(logits), device=device)
        value = (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2
        return value, {"top1": float((logits.argmax(1) == target).float().mean())}

    return model, loss, len(images)


UNKNOWN = 49405  # a token that no caption of the bestiary has
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # open_clip's, of OpenAI's CLIP


def fit(
    model: nn.Module, loss: Callable, examples: int, images: int, batch_size: int, rate: float, seed: int, out: Path
) -> nn.Module:
    """AdamW with warm-up and cosine; resumes from out/state when it is there. Returns the trained model on the CPU.

    Several processes (`torchrun -m scorer.train`) show `batch_size` images each a step; the first one logs.
    """
    from accelerate import Accelerator
    from accelerate.utils import set_seed

    accelerator = Accelerator(mixed_precision=training_precision())
    set_seed(seed)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}], lr=rate
    )
    model, optimizer = accelerator.prepare(model, optimizer)
    per_step, first = batch_size * accelerator.num_processes, accelerator.is_main_process
    steps, begun, state = images // per_step, 0, out / "state"
    last = atomic.latest_folder(state)
    if last and (last / "progress.json").exists():
        accelerator.load_state(str(last))
        begun = json.loads((last / "progress.json").read_text())["step"]
    saved = time.monotonic()
    with (
        Progress(f"training {out.name}", steps * per_step, done=begun * per_step, show=first) as progress,
        open(out / "stats.jsonl", "a", encoding="utf-8") as log,
    ):
        for step in range(begun, steps):
            done = step / steps
            for group in optimizer.param_groups:
                group["lr"] = rate * min(1, done / 0.05) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
            generator = torch.Generator().manual_seed(seed * 1_000_003 + step + 2**40 * accelerator.process_index)
            with accelerator.autocast():
                value, numbers = loss(
                    accelerator.unwrap_model(model),
                    torch.randint(examples, (batch_size,), generator=generator),
                    generator,
                    accelerator.device,
                )
            accelerator.backward(value)
            if accelerator.num_processes > 1:
                # The wrapper that averages gradients does not see a loss that calls parts of the model.
                for parameter in model.parameters():
                    if parameter.grad is not None:
                        parameter.grad = accelerator.reduce(parameter.grad, "mean")
            accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            progress.advance(per_step, f"loss {float(value.detach()):.4f}")
            if first and ((step + 1) % 100 == 0 or step + 1 == steps):
                log.write(
                    json.dumps({"images": (step + 1) * per_step, "loss": round(float(value.detach()), 5), **numbers})
                    + "\n"
                )
                log.flush()
            # One process's clock decides.
            if first and time.monotonic() - saved > 180:
                accelerator.set_trigger()
            if accelerator.check_trigger():
                _save_state(accelerator, out, step + 1)
                saved = time.monotonic()
    return accelerator.unwrap_model(model).cpu()


def _save_state(accelerator: Accelerator, out: Path, step: int) -> None:
    """The state after so many steps as `out/state`; each process writes its own random state."""
    fresh = out / "state.part"
    if accelerator.is_main_process:
        shutil.rmtree(fresh, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(fresh))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        (fresh / "progress.json").write_text(json.dumps({"step": step}))
        atomic.replace_folder(fresh, out / "state")
    accelerator.wait_for_everyone()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("part", nargs="?", choices=(*PRESETS, "all"), default="all", help="what to train")
    parser.add_argument(
        "--data",
        type=Path,
        default=paths.data_home() / "bestiary",
        help=f"the drawn training set ({commands.data('bestiary')})",
    )
    parser.add_argument("--out", type=Path, default=Path("runs"), help="where the run's folder goes")
    parser.add_argument("--images", type=int, default=None, help="training images in all; default: the preset's")
    args = parser.parse_args(argv)
    for part in PRESETS if args.part == "all" else (args.part,):
        train(part, args.data, args.out / part, args.images)
    return 0


def train(part: str, data: Path, out: Path, images: int | None) -> None:
    """Trains 'classifier' or 'clip' and puts its weights, in half precision, where the scorer looks for them."""
    preset_images, batch_size, rate, seed = PRESETS[part]
    torch.manual_seed(seed)
    model, loss, examples = {"classifier": classifier_task, "clip": clip_task}[part](data)
    out.mkdir(parents=True, exist_ok=True)
    model = fit(model, loss, examples, images or preset_images, batch_size, rate, seed, out)
    if not launcher.place().first:
        return
    state = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in model.state_dict().items()
        if not name.endswith(("num_batches_tracked", "attn_mask"))
    }
    atomic.write_bytes(embedded.WEIGHTS / f"{part}.safetensors", save(state))
    if part == "classifier":
        atomic.write_json(embedded.LABELS_FILE, model.labels)
    atomic.remove_folder(out / "state")  # or the next training would begin at this one's end
    print(embedded.WEIGHTS / f"{part}.safetensors", sum(t.numel() for t in state.values()), "values")


if __name__ == "__main__":
    sys.exit(run(main))
