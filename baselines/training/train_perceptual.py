"""python -m baselines.training.train_perceptual: the embedded perceptual network, from pictures and captions.

It learns which of the words that a competition's captions have are said of a picture: the fraction of its captions
that have each one. No weight, seed or shape is the scorer's: what optimises this network's distance is not measured
by it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from jaxtyping import Float32, Int64, UInt8
from safetensors.torch import load_file, save
from torch import Tensor, nn

from baselines.training.batches import to_device
from baselines.training.losses import LossAndLog
from baselines.training.options import RunOptions, command, option
from baselines.training.perceptual import EMBEDDED, PerceptualNetwork, words_in
from baselines.training.pictures import cropped_and_flipped, load_pictures
from baselines.training.training import Training
from baselines.training.words import word_loss
from submission import atomic
from submission.errors import run

WIDTHS = (16, 32, 64, 96)
RARE = 100  # a word of fewer entries' captions is not asked for; of few entries one in a hundred
SHIFT = 4  # pixels at most, each way
NOISE = 0.1  # standard deviation at most, in pictures of -1 … 1: an estimate of x_0 is never clean


@dataclass(frozen=True, kw_only=True)
class PerceptualOptions(RunOptions):
    """The network's training."""

    out: Path = Path("runs/perceptual")
    images: int = 60_000
    batch_size: int = 64
    learning_rate: float = 2e-3
    model: Path = option(EMBEDDED, "where the finished network goes")


def words_of(captions: list[list[str]]) -> tuple[list[str], Tensor]:
    """The words that are not rare, sorted, and the fraction of each entry's captions that have each, (N, words)."""
    split = [[words_in(caption) for caption in some] for some in captions]
    counts = Counter(word for some in split for word in set().union(*some))
    least = min(RARE, 1 + len(captions) // 100)
    words = sorted(word for word, count in counts.items() if count >= least)
    fractions = [[sum(word in caption for caption in some) / len(some) for word in words] for some in split]
    return words, torch.tensor(fractions)


@dataclass(frozen=True)
class WordLoss:
    """Cross-entropy of each word that a network reads in pictures that are mirrored, moved and noised a little."""

    images: UInt8[Tensor, "n 3 h w"]
    entry: Int64[Tensor, " n"]
    fractions: Float32[Tensor, "m words"]  # of each entry's captions that have each word
    accelerator: Accelerator

    def __call__(self, model: nn.Module, indices: Tensor, generator: torch.Generator, done: float) -> LossAndLog:
        fractions = to_device(self.fractions[self.entry[indices]], self.accelerator.device)
        x = cropped_and_flipped(self.images[indices], None, generator).float() / 127.5 - 1
        shift = torch.randint(-SHIFT, SHIFT + 1, (2,), generator=generator).tolist()
        strength = NOISE * torch.rand((), generator=generator)
        x = torch.roll(x, shift, (2, 3)) + strength * torch.randn(x.shape, generator=generator)
        with self.accelerator.autocast():
            logits = model(x.to(fractions.device)).float()
        agrees = ((logits > 0) == (fractions > 0.5)).float().mean()
        return word_loss(logits, fractions), {"agrees": float(agrees)}


def train_perceptual(options: PerceptualOptions) -> Path:
    """Trains the network and returns its folder."""
    pictures = load_pictures(options.data)
    words, fractions = words_of(pictures.captions)
    training = Training(options, ema_decay=0.995, seed=23)
    model = PerceptualNetwork(WIDTHS, len(words))
    loss = WordLoss(pictures.images, pictures.entry, fractions, training.accelerator)
    weights = load_file(training.train(model, loss, len(pictures.images), **pictures.kept))

    def write(out: Path) -> None:
        state = {name: tensor.half() for name, tensor in weights.items() if not name.startswith("head.")}
        out.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(out / "model.safetensors", save(state))
        atomic.write_json(out / "config.json", {"widths": list(WIDTHS), "trained_on": "bestiary"})
        print(out)

    return training.finish(write, options.model)


main = command(train_perceptual, __doc__, PerceptualOptions())

if __name__ == "__main__":
    raise SystemExit(run(main))
