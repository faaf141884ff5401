"""What a noised guide learns beside contrast: which colours a picture and a text have, in which order.

Few texts of a batch differ in their second colour alone, so contrast hardly asks for it. Here it is asked: two colours
are read from the states that the features are made of, and each picture's own text is to be told from the same text
with another colour (hard negatives: NegCLIP, Yuksekgonul et al., arXiv 2210.01936, section 4.1).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from baselines.clip_guided.guide import Guide
from baselines.clip_guided.plain_shapes import COLOURS
from baselines.clip_guided.words import WordTokenizer
from baselines.training.losses import contrastive_loss

NONE = -100  # instead of a colour: what a cross-entropy passes over
EXCHANGED = 0.25  # fraction of the texts of two colours in which these change places; in others one becomes another
SECOND = 2 / 3  # how often that is the second one


class ColourWords:
    """The words for colours that a tokenizer knows, numbered from 0."""

    def __init__(self, tokenizer: WordTokenizer) -> None:
        known = [word for word in COLOURS if word in tokenizer.words]
        self.tokens = tokenizer(known)[:, 1]  # behind the start

    def __len__(self) -> int:
        return len(self.tokens)

    def named(self, tokens: Int64[Tensor, "b l"]) -> Int64[Tensor, "b 2"]:
        """The numbers of the first two colours of each text; NONE where there are fewer."""
        table = torch.full((len(tokens), 2), NONE)
        for row, text in zip(table, tokens, strict=True):
            found = (text[:, None] == self.tokens).nonzero()[:2, 1]
            row[: len(found)] = found
        return table

    def with_another(self, tokens: Int64[Tensor, "b l"], generator: torch.Generator) -> Int64[Tensor, "b l"]:
        """Each text with one of its colours replaced by one that it has not, or two exchanged; others as they are."""
        changed = tokens.clone()
        chances = torch.rand(len(tokens), 3, generator=generator).tolist()
        for text, (kind, which, other) in zip(changed, chances, strict=True):
            places = torch.isin(text, self.tokens).nonzero()[:2, 0]
            if len(places) == 2 and kind < EXCHANGED:
                text[places] = text[places.flip(0)]
            elif len(places) and len(absent := self.tokens[~torch.isin(self.tokens, text)]):
                text[places[-1 if which < SECOND else 0]] = absent[int(other * len(absent))]
        return changed


class Named(NamedTuple):
    """Features of images, texts and other texts, (b, embed) of length 1; the scale of their cosines; logits of the
    first and the second colour, (b, 2 colours)."""

    image: Tensor
    text: Tensor
    other: Tensor
    scale: Tensor
    image_colours: Tensor
    text_colours: Tensor


class Naming(nn.Module):
    """A guide, and what reads the first and the second colour from its states of images and texts."""

    def __init__(self, guide: Guide, colours: int) -> None:
        super().__init__()
        self.guide = guide
        logits = 2 * max(1, colours)  # where no text names one, none is asked for
        self.image_colours = nn.Linear(guide.config.widths[-1], logits)
        self.text_colours = nn.Linear(guide.config.text_width, logits)

    def forward(self, images: Tensor, timesteps: Tensor, tokens: Tensor, others: Tensor) -> Named:
        """Of images, of their texts, and of as many other texts."""
        guide = self.guide
        image, text = guide.image_state(images, timesteps), guide.text_state(tokens)
        features = guide.image_projection(image), guide.text_projection(text), guide.text_features(others)
        ours, own, other = (functional.normalize(each.float(), dim=1) for each in features)
        return Named(ours, own, other, guide.scale, self.image_colours(image), self.text_colours(text))


def naming_loss(logits: Float[Tensor, "b d"], named: Int64[Tensor, "b 2"]) -> Float[Tensor, ""]:
    """Cross-entropy of the first colour and of the second, each 0 where there is none; mean over rows, in nats."""
    both = logits.float().unflatten(1, (2, -1)).transpose(1, 2)  # the classes come second
    return functional.cross_entropy(both, named, ignore_index=NONE, reduction="sum") / len(named)


def hard_contrast(
    images: Float[Tensor, "b d"],
    texts: Float[Tensor, "b d"],
    others: Float[Tensor, "b d"],
    same: Bool[Tensor, " b"],
    scale: Float[Tensor, ""],
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """`contrastive_loss` where each image is to be told from one more text, its own with another colour.

    Args:
        others: that text's features; where it is the `same` as its own it does not count.
    """
    more = (scale * (images * others).sum(1)).masked_fill(same, -torch.inf)
    return contrastive_loss(images, texts, scale, more[:, None])
