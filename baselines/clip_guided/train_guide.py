"""python -m baselines.clip_guided.train_guide pretrained|finetuned|noised|noised-colours: one of the guides.

pretrained has seen plain coloured shapes only; finetuned is that one on labelled pictures, a batch holding one picture
of each label; noised is a wider one that learns from nothing, on x_t with t (GLIDE, arXiv 2112.10741, section 3.3), a
batch holding several pictures of a label under their captions; noised-colours is that one after it has learned to name
the colours in their order (`naming`), and pulls together with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional

from baselines.clip_guided import data, plain_shapes
from baselines.clip_guided.diffusion import diffusion
from baselines.clip_guided.guide import Guide, GuideConfig, grown, load
from baselines.clip_guided.guide_data import LabelledSource, ShapesSource
from baselines.clip_guided.naming import ColourWords, Naming, hard_contrast, naming_loss
from baselines.clip_guided.train_diffusion import PictureOptions
from baselines.clip_guided.words import FIRST_WORD, UNKNOWN, WordTokenizer
from baselines.options import GUIDES
from baselines.processes import in_the_first
from baselines.training.batches import to_device
from baselines.training.losses import LossAndLog, contrastive_loss, stratified_timesteps
from baselines.training.options import command_parser, option, parsed
from baselines.training.schedule import ContrastiveSchedule
from baselines.training.trainer import train
from submission import atomic, commands
from submission.errors import MissingPart, UsageError, run
from submission.hashes import file_sha256

# Pictures of a label in a batch. Several are called by their captions: what labels leave out (features, what is held,
# the action) is what the guide must know that draws best.
OF_EACH = {"finetuned": 1, "noised": 6, "noised-colours": 6}
BEGINS_WITH = {"finetuned": "pretrained", "noised-colours": "noised"}
NOISED_WIDTHS = (48, 80, 112)  # its image tower has to see through noise
CLEARER = 2  # the power that makes even times in 0 … 1 those of noised-colours: colours are seen where noise is little
FORGET = 0.06  # fraction of words taken for unknown, so that an unknown word is passed over
VALIDATION_BATCHES, MEAN_BATCHES = 8, 16
PART = "guide."  # the guide's weights among those of a `Naming`


@dataclass(frozen=True, kw_only=True)
class GuideOptions(PictureOptions):
    """A guide's training."""

    guide: str = "pretrained"
    runs: Path = option(Path("runs/clip-guided"), "where the guides' runs are")
    epochs: int = option(10, "at most; it ends when the validation says so")
    epoch_images: int = option(100_000, "images an epoch")
    patience: int = option(4, "epochs that may pass without a better validation loss")
    batch_size: int = option(128, "pictures in a batch")
    learning_rate: float = option(1e-3, "at its peak")


class GuideLoss:
    """Of a guide, on batches that its source draws: a contrast, and the fraction of images nearest to their text."""

    def __init__(self, source: ShapesSource | LabelledSource, guide: Guide, device: torch.device) -> None:
        self.source, self.tokenizer, self.noised = source, guide.tokenizer, guide.config.noised
        self.process, self.device = diffusion(), device

    def __call__(self, model: nn.Module, indices: Tensor, generator: torch.Generator, done: float) -> LossAndLog:
        value, right = self.of_a_batch(model, generator, held_out=False)
        return value, {"top1": right}

    def of_a_batch(self, model: nn.Module, generator: torch.Generator, held_out: bool) -> tuple[Tensor, Tensor]:
        """A function of model and generator alone."""
        batch = self.source.batch(generator, held_out=held_out)
        images, tokens = to_device(batch.images, self.device), self.tokenizer(batch.texts)
        timesteps = None
        if self.noised:
            images, timesteps = self.noise(images, generator)
        if not held_out:
            tokens = forgetting(tokens, generator)
        image, text, scale = model(images, to_device(tokens, self.device), timesteps)
        return contrastive_loss(image, text, scale)

    def timesteps(self, count: int, generator: torch.Generator) -> Tensor:
        """Of the training schedule, int64 (count,)."""
        return stratified_timesteps(count, len(self.process), generator)

    def noise(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images on the device -> x_t and t."""
        timesteps = to_device(self.timesteps(len(images), generator), self.device)
        noise = to_device(torch.randn(images.shape, generator=generator), self.device)
        return self.process.q_sample(images, timesteps, noise), timesteps

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Always on the same batches of what is held out."""
        generators = [torch.Generator().manual_seed(k) for k in range(VALIDATION_BATCHES)]
        values, right = zip(*(self.of_a_batch(model, g, held_out=True) for g in generators), strict=True)
        return {"loss": float(torch.stack(values).mean()), "top1": float(torch.stack(right).mean())}


class NamingLoss(GuideLoss):
    """Of a `Naming`, on x_t: the contrast, hardened, and the colours that images and texts have."""

    def __init__(self, source: ShapesSource | LabelledSource, guide: Guide, device: torch.device) -> None:
        super().__init__(source, guide, device)
        self.colours = ColourWords(guide.tokenizer)

    def timesteps(self, count: int, generator: torch.Generator) -> Tensor:
        steps = len(self.process)
        return ((super().timesteps(count, generator) / steps) ** CLEARER * steps).long()

    def of_a_batch(self, model: nn.Module, generator: torch.Generator, held_out: bool) -> tuple[Tensor, Tensor]:
        batch = self.source.batch(generator, held_out=held_out)
        x, timesteps = self.noise(to_device(batch.images, self.device), generator)
        tokens = self.tokenizer(batch.texts)
        named, others = self.colours.named(tokens), self.colours.with_another(tokens, generator)
        same = (others == tokens).all(dim=1)
        if not held_out:
            tokens = forgetting(tokens, generator)
        named, others, same, tokens = (to_device(each, self.device) for each in (named, others, same, tokens))
        output = model(x, timesteps, tokens, others)
        contrast, right = hard_contrast(output.image, output.text, output.other, same, output.scale)
        return contrast + naming_loss(output.image_colours, named) + naming_loss(output.text_colours, named), right


def forgetting(tokens: Tensor, generator: torch.Generator) -> Tensor:
    """`tokens` with some of the words taken for unknown."""
    forgotten = (torch.rand(tokens.shape, generator=generator) < FORGET) & (tokens >= FIRST_WORD)
    return torch.where(forgotten, UNKNOWN, tokens)


def train_guide(options: GuideOptions) -> Path:
    """Trains one guide and returns the path of the weights that did best on what is held out.

    Raises UsageError for an odd size, MissingPart where the guide that it begins with is not trained yet, and what
    `data.read` and `LabelledSource.of` raise.
    """
    if options.size < 8 or options.size % 8:
        raise UsageError(f"--size {options.size}: must be a multiple of 8")
    out = options.runs / options.guide
    kept: dict[str, object] = {"guide": options.guide, "size": options.size}
    seed = 41 + GUIDES.index(options.guide)
    torch.manual_seed(seed)
    source: ShapesSource | LabelledSource
    if options.guide == "pretrained":
        source = ShapesSource(options.size, min(options.batch_size, len(plain_shapes.KINDS)))
        model = Guide(GuideConfig(words=plain_shapes.WORDS, image_size=options.size))
    else:
        pictures = data.read(options.data, options.size, options.labels)
        source = LabelledSource.of(pictures, options.batch_size, of_each=OF_EACH[options.guide])
        texts = [*pictures.labels, *(caption for captions in pictures.captions for caption in captions)]
        kept |= pictures.kept
        if name := BEGINS_WITH.get(options.guide):
            begin, kept["begins_with"] = finished(options.runs, name)
            words = begin.tokenizer.with_words_of(texts).words
            model = grown(begin, replace(begin.config, words=words, image_size=options.size))
        else:
            words = WordTokenizer((), 0).with_words_of(texts).words
            model = Guide(GuideConfig(words, options.size, noised=True, widths=NOISED_WIDTHS))
    batch = source.batch_size
    steps = max(1, options.epoch_images // batch)  # an epoch
    schedule = ContrastiveSchedule.of(
        options,
        images=options.epochs * steps * batch,
        batch_size=batch,
        warmup=max(1, steps // 2) / (options.epochs * steps),
        validate_images=steps * batch,
        seed=seed,
    )
    accelerator = options.accelerator(("float32",))
    trained: nn.Module = model
    loss = GuideLoss(source, model, accelerator.device)
    if options.guide == "noised-colours":
        loss = NamingLoss(source, model, accelerator.device)
        trained = Naming(model, len(loss.colours))

    out.mkdir(parents=True, exist_ok=True)
    in_the_first(accelerator, lambda: atomic.write_json(out / "config.json", model.config.as_json()))
    weights = train(
        trained,
        loss,
        batch,
        schedule,
        out,
        accelerator=accelerator,
        validate=loss.validate,
        options=kept,
        compiled=options.compile,
    )
    generators = (torch.Generator().manual_seed(k) for k in range(MEAN_BATCHES))
    texts = [text for generator in generators for text in source.batch(generator).texts]
    in_the_first(accelerator, lambda: keep_text_mean(model.cpu(), weights, texts))
    accelerator.print(weights)
    return weights


@torch.no_grad()
def keep_text_mean(guide: Guide, weights: Path, texts: list[str]) -> None:
    """Measures `text_mean` of a guide with these weights, in whose file it is then; what read its states is not."""
    state = load_file(weights)
    if of_guide := {name.removeprefix(PART): value for name, value in state.items() if name.startswith(PART)}:
        state = of_guide
    guide.load_state_dict(state)
    features = guide.text_features(guide.tokenizer(texts)).float()
    atomic.write_bytes(weights, save(state | {"text_mean": functional.normalize(features, dim=1).mean(dim=0)}))


def finished(runs: Path, name: str) -> tuple[Guide, str]:
    """The guide that a run made, and its weights' sha256. Raises MissingPart."""
    config, weights = runs / name / "config.json", runs / name / "weights.safetensors"
    training = f"baselines.clip_guided.train_guide {name} --runs {commands.named(runs, 'FOLDER')}"
    for path in (config, weights):
        if not path.exists():
            what = f"the guide {name} is not trained yet"
            raise MissingPart(what, looked_for=path, get_it=commands.module(training))
    return load(config, weights).train(), file_sha256(weights)


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(__doc__ or "")
    parser.add_argument("guide", choices=GUIDES)
    train_guide(parsed(parser, GuideOptions(), argv))
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
