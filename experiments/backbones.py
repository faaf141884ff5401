"""python -m experiments.backbones [classifier|clip]: train the bestiary's backbones anew, into scorer/weights.

The CLIP is trained as Radford et al. (arXiv 2103.00020, section 2.3) describe; the classifier on all its heads at once.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional

from baselines.processes import in_the_first
from baselines.training.augmentation import draw_changes, moved
from baselines.training.batches import Examples, to_device
from baselines.training.losses import LossAndLog, contrastive_loss
from baselines.training.options import TrainingOptions, command_parser, option, parsed
from baselines.training.schedule import ContrastiveSchedule
from baselines.training.trainer import train
from scorer.networks import embedded
from scorer.networks.resize import open_clip_resize
from submission import atomic
from submission.errors import run
from submission.progress import track

# With AdamW's usual constants, and no weight decay but of matrices.
_SCHEDULE = ContrastiveSchedule(
    images=0,
    weight_decay=0.05,
    betas=(0.9, 0.999),
    epsilon=1e-8,
    decay_vectors=False,
    warmup=0.05,
    final_rate=0.01,
    save_minutes=3,
)
PRESETS = {
    "classifier": replace(_SCHEDULE, images=330_000, batch_size=64, learning_rate=2e-3, seed=0),
    "clip": replace(_SCHEDULE, images=150_000, batch_size=128, learning_rate=1.5e-3, seed=1),
}
JITTER = (0.15, 0.08, 0.08, 0.08)  # radians, and fractions of the size and of half the width and height
TINT = 0.05, 5.0  # the fraction by which a colour channel is stretched, grey levels by which it is shifted, at most
FORGET = 0.06  # fraction of tokens taken for unknown while training
UNKNOWN = 49405  # a token that no caption of the bestiary has
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # open_clip's, of OpenAI's CLIP


@dataclass(frozen=True, kw_only=True)
class BackboneOptions(TrainingOptions):
    """One of the trainings, or both one after the other."""

    part: str = "all"
    out: Path = option(Path("runs"), "where the run's folder goes")
    images: int | None = option(None, "training images in all; default: the preset's")


def read_pictures(data: Path) -> tuple[Tensor, list[str]]:
    """uint8 (N, 3, 64, 64) and the entry key of each, from the drawn training set."""
    files = sorted((data / "train").glob("*.png"))
    images = [np.asarray(Image.open(file)) for file in track(files, "reading pictures")]
    keys = [file.stem.rpartition("_")[0] for file in files]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(), keys


def roughened(x: Tensor, generator: torch.Generator) -> Tensor:
    """float (B, 3, H, W) in 0..255 -> moved, turned, zoomed, a little off in colour, sometimes blurred, noisy.

    Generated pictures are neither as crisp nor as exact as drawn ones, and a network that has seen each monster in one
    place only memorises the monster. One that has seen only the palette itself does not recognise a red that is five
    levels off.
    """
    x = moved(x, draw_changes(len(x), generator, JITTER), white=255.0)
    stretch, shift = to_device(torch.rand(2, len(x), 3, 1, 1, generator=generator) * 2 - 1, x.device)
    x = x * (1 + TINT[0] * stretch) + TINT[1] * shift
    blur = torch.rand(len(x), 1, 1, 1, generator=generator) * (torch.rand((), generator=generator) < 0.5)
    x = x + to_device(blur, x.device) * (functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False) - x)
    strength = 8 * torch.rand((), generator=generator)
    return x + strength * to_device(torch.randn(x.shape, generator=generator), x.device)


class ClassifierLoss:
    """Of a BestiaryClassifier: the sum of its heads' cross-entropies, on pictures that are roughened."""

    def __init__(self, data: Path, accelerator: Accelerator) -> None:
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
        device = accelerator.device
        self.accelerator, self.images = accelerator, Examples(images, device)
        features = sorted({feature for row in rows for feature in row["features"]})
        labels, self.targets = {"features": features}, {}
        for head, column in columns.items():
            names, numbers = np.unique(column, return_inverse=True)
            labels[head], self.targets[head] = names.tolist(), Examples(torch.from_numpy(numbers), device)
        self.labels = {head: labels[head] for head in embedded.HEADS}
        worn = [[float(feature in row["features"]) for feature in features] for row in rows]
        self.worn = Examples(torch.tensor(worn), device)

    def __call__(self, model: Any, indices: Tensor, generator: torch.Generator, done: float) -> LossAndLog:
        targets = {head: column[indices] for head, column in self.targets.items()}
        with self.accelerator.autocast():
            features = model.features(roughened(self.images[indices].float(), generator)).float()
            outputs = {head: model.heads[head](features).float() for head in embedded.HEADS}
            losses = {head: functional.cross_entropy(outputs[head], target) for head, target in targets.items()}
            losses["second colour"] = 2 * losses["second colour"]
            worn = functional.binary_cross_entropy_with_logits(outputs["features"], self.worn[indices])
            losses["features"] = 6 * worn
        right = (outputs["kind"].argmax(1) == targets["kind"]).float().mean()
        numbers = {"kind_accuracy": right, "features": losses["features"].detach()}
        return sum(losses.values(), start=torch.zeros((), device=features.device)), numbers

    def build(self) -> nn.Module:
        return embedded.BestiaryClassifier(self.labels)


class ClipLoss:
    """Of an open_clip model: roughened pictures against one of each one's captions, some of whose words are unknown."""

    def __init__(self, data: Path, accelerator: Accelerator) -> None:
        small, self.keys = read_pictures(data)
        info = json.loads((data / "train_info.json").read_text())
        tokenize = embedded.tokenizer()
        self.tokens = {
            key: tokenize([f"{text} {row['action_description']}".strip() for text in row["given_description"]])
            for key, row in info.items()
        }
        self.known = torch.unique(torch.cat(list(self.tokens.values())))
        self.accelerator, device = accelerator, accelerator.device
        size = json.loads(embedded.CLIP_CONFIG_FILE.read_text())["image_tower"]["image_size"]
        self.images = Examples(torch.cat([open_clip_resize(part, size) for part in small.split(512)]), device)
        self.mean, self.std = (torch.tensor(values).view(1, 3, 1, 1).to(device) * 255 for values in (MEAN, STD))

    def __call__(self, model: nn.Module, indices: Tensor, generator: torch.Generator, done: float) -> LossAndLog:
        rng = random.Random(int(torch.randint(2**31, (), generator=generator)))
        start, end = self.known[-2], self.known[-1]  # 49406 and 49407
        with self.accelerator.autocast():
            x = (roughened(self.images[indices].float(), generator) - self.mean) / self.std
            words = torch.stack([rng.choice(self.tokens[self.keys[index]]) for index in indices.tolist()])
            kept = (words == start) | (words == end) | (words == 0)
            forget = (torch.rand(words.shape, generator=generator) < FORGET) & ~kept
            image, text, scale = model(x, to_device(torch.where(forget, UNKNOWN, words), x.device))
            value, right = contrastive_loss(image.float(), text.float(), scale.clamp(max=100).float())
        return value, {"top1": right}

    def build(self) -> nn.Module:
        return embedded.build_clip(self.known)


LOSSES: dict[str, type[ClassifierLoss] | type[ClipLoss]] = {"classifier": ClassifierLoss, "clip": ClipLoss}


def train_backbone(options: BackboneOptions) -> Path:
    """Trains 'classifier' or 'clip' and puts its weights, in half precision, where the scorer looks for them."""
    part = options.part
    schedule = PRESETS[part]
    schedule = replace(schedule, images=options.images or schedule.images)
    accelerator = options.accelerator(("float32", "bfloat16"))
    loss = LOSSES[part](options.data, accelerator)
    torch.manual_seed(schedule.seed)
    model = loss.build()
    run_folder = options.out / part
    trained = train(
        model, loss, len(loss.images), schedule, run_folder, accelerator=accelerator, compiled=options.compile
    )
    file = embedded.WEIGHTS / f"{part}.safetensors"

    def finish() -> None:
        model.load_state_dict(load_file(trained), strict=False)
        state = {
            name: (tensor.half() if tensor.is_floating_point() else tensor).cpu().contiguous()
            for name, tensor in model.state_dict().items()
            if not name.endswith(("num_batches_tracked", "attn_mask"))
        }
        atomic.write_bytes(file, save(state))
        if isinstance(loss, ClassifierLoss):
            atomic.write_json(embedded.LABELS_FILE, loss.labels)
        print(file, sum(tensor.numel() for tensor in state.values()), "values")

    in_the_first(accelerator, finish)
    return file


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(__doc__ or "")
    parser.add_argument("part", nargs="?", choices=(*PRESETS, "all"), default="all", help="what to train")
    options = parsed(parser, BackboneOptions(), argv)
    for part in PRESETS if options.part == "all" else (options.part,):
        train_backbone(replace(options, part=part))
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
