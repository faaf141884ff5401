"""python -m baselines.glide.train_text_encoder: the base model's text encoder, before the base model is trained.

GLIDE trains its text encoder with the base model, from pixels alone (arXiv 2112.10741, section 4), which on a small
training set finds out which two colours a monster has and hardly which is its main one. So the encoder first learns to
say from each token's state what stands before and after it, and from the pooled state which words and pairs of
neighbours another caption of the same picture has. What reads that is thrown away.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional

from baselines.glide import train_base
from baselines.glide.blocks import TextTransformer
from baselines.glide.training_set import TrainingSet
from baselines.glide.unet import UNet
from baselines.training.batches import to_device
from baselines.training.losses import LossAndLog
from baselines.training.options import RunOptions, command
from baselines.training.training import Training
from baselines.training.words import Words, word_loss
from submission.errors import run

WORDS_WEIGHT = 0.05  # their cross-entropy is a sum


@dataclass(frozen=True, kw_only=True)
class TextEncoderOptions(RunOptions):
    """The text encoder's training; `images` are captions."""

    out: Path = Path("runs/glide-text-encoder")
    images: int = 887_000
    batch_size: int = 512
    learning_rate: float = 2e-3


class Reader(nn.Module):
    """The text encoder, and what reads from its states."""

    def __init__(self, text_encoder: TextTransformer, vocab_size: int, words: int) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        self.neighbours = nn.Linear(text_encoder.position_embedding.shape[1], 2 * vocab_size)
        self.words = nn.Linear(text_encoder.pooled_projection.out_features, words)


class ReadingLoss:
    """Of a `Reader`: from each token's state its neighbours, from the pooled one the words of another caption."""

    def __init__(self, data: TrainingSet, accelerator: Accelerator) -> None:
        self.data, self.accelerator = data, accelerator
        self.tokens, self.real = data.text_tokenizer(data.captions)
        self.ids = [tokens[real].tolist() for tokens, real in zip(self.tokens, self.real, strict=True)]
        self.words = Words(self.ids)

    def __call__(self, model: Reader, indices: Tensor, generator: torch.Generator, done: float) -> LossAndLog:
        device = self.accelerator.device
        picked, others = (self.data.pick_captions(indices, generator) for _ in range(2))
        tokens, real = (to_device(table[picked], device) for table in (self.tokens, self.real))
        targets = to_device(self.words.targets([self.ids[number] for number in others.tolist()]), device)
        with self.accelerator.autocast():
            states = model.text_encoder(tokens, real)
            before, after = model.neighbours(states.hidden).float().chunk(2, dim=-1)
            logits = model.words(states.pooled).float()
        pairs = real[:, 1:]  # padding is behind a caption: where the second is a token, so is the first
        neighbours = functional.cross_entropy(after[:, :-1][pairs], tokens[:, 1:][pairs])
        neighbours = neighbours + functional.cross_entropy(before[:, 1:][pairs], tokens[:, :-1][pairs])
        words = word_loss(logits, targets)
        return neighbours + WORDS_WEIGHT * words, {"neighbours": neighbours.detach(), "words": words.detach()}


def train_text_encoder(options: TextEncoderOptions) -> Path:
    """Trains the text encoder and returns the path of its averaged weights, those of a `Reader`."""
    training = Training(options)
    data = TrainingSet(options.data)
    loss = ReadingLoss(data, training.accelerator)
    text_encoder = UNet(train_base.config(data.vocab_size)).text_encoder
    reader = Reader(text_encoder, data.vocab_size, len(loss.words))
    return training.train_and_print(reader, loss, len(data.images), captions=data.kept["captions"])


main = command(train_text_encoder, __doc__, TextEncoderOptions())

if __name__ == "__main__":
    raise SystemExit(run(main))
