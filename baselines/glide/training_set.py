"""Pictures and captions for GLIDE's trainings: captions as rows of a small token table that holds their tokens only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from baselines.glide.config import CLIP_END, CLIP_START, VocabularyConfig
from baselines.glide.tokenizer import ClipTokenizer, TextTokenizer, Vocabulary, clip_bpe
from baselines.pixels import save_grid, to_pixels
from baselines.training.losses import drop_mask
from baselines.training.pictures import load_pictures

TEXT_LENGTH = 40  # tokens; the longest of the bestiary's captions has 34
CLIP_TEXT_LENGTH = TEXT_LENGTH + 2


@dataclass(frozen=True)
class TrainingSet:
    """Everything in memory.

    Attributes:
        images: of 64 pixels.
        captions: all different captions.
        captions_of: for each image the numbers of its captions.
        vocabulary: CLIP's BPE with the rows that the captions touch, its start and end among them.
        kept: the hashes of all of it (`Captioned.kept`).
    """

    images: UInt8[Tensor, "n 3 64 64"]
    captions: list[str]
    captions_of: list[list[int]]
    vocabulary: VocabularyConfig
    kept: dict[str, object]

    @property
    def text_tokenizer(self) -> TextTokenizer:
        return TextTokenizer(Vocabulary(clip_bpe(), self.vocabulary.rows), TEXT_LENGTH, pad=0)

    @property
    def clip_tokenizer(self) -> ClipTokenizer:
        return ClipTokenizer(Vocabulary(clip_bpe(), self.vocabulary.rows), CLIP_TEXT_LENGTH)

    @property
    def vocab_size(self) -> int:
        assert self.vocabulary.rows is not None
        return len(self.vocabulary.rows)

    def pick_captions(self, indices: Tensor, generator: torch.Generator) -> Int64[Tensor, " b"]:
        """One of each image's captions, by its number."""
        chance = torch.rand(len(indices), generator=generator).tolist()
        own = [self.captions_of[index] for index in indices.tolist()]
        return torch.tensor([numbers[int(share * len(numbers))] for numbers, share in zip(own, chance, strict=True)])


def load(folder: Path) -> TrainingSet:
    """The training set of a data folder. Raises MissingPart, CompetitionError."""
    pictures = load_pictures(folder)
    encode = clip_bpe()
    touched = {token for caption in pictures.distinct_captions for token in encode(caption)} | {CLIP_START, CLIP_END}
    return TrainingSet(
        pictures.images,
        pictures.distinct_captions,
        [pictures.caption_numbers[entry] for entry in pictures.entry.tolist()],
        VocabularyConfig("clip", tuple(sorted(touched))),
        pictures.kept,
    )


def dropped(mask: Bool[Tensor, "b l"], fraction: float, generator: torch.Generator) -> Bool[Tensor, "b l"]:
    """A fraction of the prompts made empty, so that the model can also draw without one (classifier-free guidance)."""
    return mask & ~drop_mask(len(mask), fraction, generator)[:, None]


def sheet(rows: list[Tensor], path: Path) -> None:
    """Rows of equally many images, (n, 3, h, w) in -1 … 1 and scaled to the largest, as one PNG."""
    size = max(row.shape[-1] for row in rows)
    large = [
        row.repeat_interleave(size // row.shape[-1], -1).repeat_interleave(size // row.shape[-1], -2) for row in rows
    ]
    save_grid(torch.cat([to_pixels(row).cpu() for row in large]), path, columns=len(rows[0]))
