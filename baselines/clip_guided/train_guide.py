"""python -m baselines.clip_guided.train_guide pretrained|finetuned|noised: one of the guides.

pretrained has seen plain coloured shapes only; finetuned is that one on labelled pictures, a batch holding one picture
of each label; noised is that one again on x_t with t (GLIDE, arXiv 2112.10741, section 3.3).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from baselines.clip_guided import data, plain_shapes
from baselines.clip_guided.diffusion import diffusion
from baselines.clip_guided.early_stopping import Plan, fit
from baselines.clip_guided.guide import Guide, GuideConfig, grown, load
from baselines.clip_guided.guide_data import Batch, LabelledSource, ShapesSource
from baselines.clip_guided.train_diffusion import add_data_arguments
from baselines.clip_guided.words import FIRST_WORD, UNKNOWN
from baselines.options import add_hardware
from baselines.processes import in_the_first
from baselines.training.losses import contrastive_loss, stratified_timesteps
from baselines.training.options import accelerator_of, command_parser
from submission import atomic, commands
from submission.errors import MissingPart, UsageError, run
from submission.hashes import file_sha256

GUIDES = ("pretrained", "finetuned", "noised")
BEGINS_WITH = {"finetuned": "pretrained", "noised": "finetuned"}
FORGET = 0.06  # share of words taken for unknown, so that an unknown word is passed over
VALIDATION_BATCHES = 8


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(__doc__)
    parser.add_argument("guide", choices=GUIDES)
    add_data_arguments(parser)
    parser.add_argument("--runs", type=Path, default=Path("runs/clip-guided"), help="where the guides' runs are")
    parser.add_argument("--epochs", type=int, default=10, help="at most; it ends when the validation says so")
    parser.add_argument("--epoch-images", type=int, default=20_000, help="images an epoch")
    parser.add_argument("--patience", type=int, default=4, help="epochs that may pass without a better validation loss")
    parser.add_argument("--batch-size", type=int, default=128, help="pictures in a batch, at most one of each label")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    add_hardware(parser)
    args = parser.parse_args(argv)
    if args.size < 8 or args.size % 8:
        raise UsageError(f"--size {args.size}: must be a multiple of 8")
    out = args.runs / args.guide
    options: dict[str, object] = {"guide": args.guide, "size": args.size}
    if args.guide == "pretrained":
        source = ShapesSource(args.size, min(args.batch_size, len(plain_shapes.KINDS)))
        model = Guide(GuideConfig(words=plain_shapes.WORDS, image_size=args.size))
    else:
        pictures = data.read(args.data, args.size, args.labels)
        source = LabelledSource.of(pictures, args.batch_size)
        begin, sha256 = finished(args.runs, BEGINS_WITH[args.guide])
        tokenizer = begin.tokenizer.with_words_of([*pictures.labels, *(c for each in pictures.captions for c in each)])
        noised = args.guide == "noised"
        model = grown(begin, replace(begin.config, words=tokenizer.words, noised=noised, image_size=args.size))
        options |= {"pictures": len(pictures.images), "begins_with": sha256}
    steps = max(1, args.epoch_images // source.batch_size)
    plan = Plan(args.epochs, steps, args.patience, args.learning_rate, seed=41 + GUIDES.index(args.guide))
    accelerator = accelerator_of(args, ("float32",))
    loss = contrast(source, model, accelerator.device)

    def validate(trained: nn.Module) -> dict[str, float]:
        pairs = [loss(trained, torch.Generator().manual_seed(k), held_out=True) for k in range(VALIDATION_BATCHES)]
        values, right = zip(*pairs, strict=True)
        return {"loss": float(torch.stack(values).mean()), "top1": float(torch.stack(right).mean())}

    options["batch_size"] = source.batch_size
    train_loss = lambda trained, generator: loss(trained, generator)[0]  # noqa: E731 - fit wants the loss alone

    def train_alone() -> None:
        out.mkdir(parents=True, exist_ok=True)
        atomic.write_json(out / "config.json", model.config.as_json())
        print(fit(model, train_loss, validate, plan, out, accelerator=accelerator, options=options))

    in_the_first(accelerator, train_alone)  # minutes of training are not worth several processes
    return 0


def contrast(source: ShapesSource | LabelledSource, guide: Guide, device: torch.device) -> Callable:
    """The loss of one batch and the share of images told rightly, as a function of model and generator."""
    tokenizer, process = guide.tokenizer, diffusion()
    noised = guide.config.noised

    def loss(trained: nn.Module, generator: torch.Generator, *, held_out: bool = False) -> tuple[Tensor, float]:
        batch: Batch = source.batch(generator, held_out=held_out)
        images, tokens = batch.images.to(device), tokenizer(batch.texts)
        timesteps = None
        if noised:
            timesteps = stratified_timesteps(len(images), len(process), generator).to(device)
            noise = torch.randn(images.shape, generator=generator).to(device)
            images = process.q_sample(images, timesteps, noise)
        if not held_out:
            forgotten = (torch.rand(tokens.shape, generator=generator) < FORGET) & (tokens >= FIRST_WORD)
            tokens = torch.where(forgotten, UNKNOWN, tokens)
        image, text, scale = trained(images, tokens.to(device), timesteps)
        return contrastive_loss(image, text, scale)

    return loss


def finished(runs: Path, name: str) -> tuple[Guide, str]:
    """The guide that a run made, and its weights' sha256. Raises MissingPart."""
    config, weights = runs / name / "config.json", runs / name / "weights.safetensors"
    for path in (config, weights):
        if not path.exists():
            raise MissingPart(
                f"the guide {name} is not trained yet",
                looked_for=path,
                get_it=commands.module(
                    f"baselines.clip_guided.train_guide {name} --runs {commands.named(runs, 'FOLDER')}"
                ),
            )
    return load(config, weights).train(), file_sha256(weights)


if __name__ == "__main__":
    sys.exit(run(main))
