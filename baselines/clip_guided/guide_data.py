"""Batches to train a guide on: pictures that all deserve another text, each with one of its own."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float32
from torch import Tensor

from baselines.clip_guided import plain_shapes
from baselines.clip_guided.data import Labelled
from submission.errors import CompetitionError

HELD_OUT = 0.06  # fraction of the groups of pictures that say when to stop
LABEL_FRACTION = 0.4  # how often a picture that has captions is called by its label, where it stands for it alone
SHIFT = 2  # pixels at most, each way


class Batch(NamedTuple):
    """`images` (b, 3, s, s) in -1 … 1, `texts` of each."""

    images: Float32[Tensor, "b 3 s s"]
    texts: list[str]


@dataclass(frozen=True)
class ShapesSource:
    """The sister world: new shapes in every batch, a colour and shape once at most."""

    size: int
    batch_size: int

    def batch(self, generator: torch.Generator, *, held_out: bool = False) -> Batch:
        """A function of the generator alone. There is no end of shapes: none needs to be held out."""
        rng = random.Random(int(torch.randint(2**31, (), generator=generator)))
        return Batch(*plain_shapes.draw(rng.sample(plain_shapes.KINDS, self.batch_size), self.size, rng))


@dataclass(frozen=True)
class LabelledSource:
    """Labelled pictures; a batch holds one picture of each label, or of as many labels as fit; or several of each.

    One picture of each label asks for no more than what labels tell apart. Several of each, called by their captions,
    ask for the rest.

    Attributes:
        training, validation: label -> pictures with it, without the labels that have none.
        of_each: pictures of a label in a batch, where there are so many.
    """

    pictures: Labelled
    batch_size: int
    training: dict[int, Tensor]
    validation: dict[int, Tensor]
    of_each: int = 1

    @classmethod
    def of(cls, pictures: Labelled, batch_size: int, *, of_each: int = 1) -> LabelledSource:
        """Some groups of pictures, always the same, are held out. Raises CompetitionError for fewer than 2 labels."""
        groups = int(pictures.group.max()) + 1
        order = torch.randperm(groups, generator=torch.Generator().manual_seed(0))
        held_out = torch.zeros(groups, dtype=torch.bool)
        held_out[order[: round(HELD_OUT * groups)]] = True
        for group in order:  # in a small set more are held out: nothing can be told about a single label
            if len(pictures.label[held_out[pictures.group]].unique()) > 1:
                break
            held_out[group] = True
        mask = held_out[pictures.group]
        training, validation = _by_label(pictures.label, ~mask), _by_label(pictures.label, mask)
        if len(training) < 2 or len(validation) < 2:
            raise CompetitionError(
                f"contrastive training needs two different labels to train on and two that are held out, there are "
                f"{len(training)} and {len(validation)}; {groups} folders or pictures are too few"
            )
        return cls(pictures, min(batch_size, of_each * len(training)), training, validation, of_each)

    def batch(self, generator: torch.Generator, *, held_out: bool = False) -> Batch:
        """A function of the generator alone. Pictures to train on are moved a little, held-out ones are not."""
        part = self.validation if held_out else self.training
        labels = list(part)
        order = torch.randperm(len(labels), generator=generator)
        chosen = [labels[k] for k in order[: math.ceil(self.batch_size / self.of_each)]]
        rng = random.Random(int(torch.randint(2**31, (), generator=generator)))
        several = (rng.sample(part[k].tolist(), min(self.of_each, len(part[k]))) for k in chosen)
        indices = [index for pictures in several for index in pictures][: self.batch_size]
        images = self.pictures.images[indices].float() / 127.5 - 1
        if not held_out:
            images = _moved(images, rng)
        return Batch(images, [self._text(index, rng) for index in indices])

    def _text(self, index: int, rng: random.Random) -> str:
        captions = self.pictures.captions[index]
        if not captions or rng.random() < (LABEL_FRACTION if self.of_each == 1 else 0.0):
            return self.pictures.labels[int(self.pictures.label[index])]
        return rng.choice(captions)


def _by_label(label: Tensor, mask: Tensor) -> dict[int, Tensor]:
    return {k: there for k in range(int(label.max()) + 1) if len(there := torch.nonzero(mask & (label == k))[:, 0])}


def _moved(images: Tensor, rng: random.Random) -> Tensor:
    padded = torch.nn.functional.pad(images, [SHIFT] * 4, mode="replicate")
    size, corners = images.shape[-1], [(rng.randint(0, 2 * SHIFT), rng.randint(0, 2 * SHIFT)) for _ in images]
    return torch.stack([image[:, y : y + size, x : x + size] for image, (y, x) in zip(padded, corners, strict=True)])
