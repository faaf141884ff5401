"""Pictures and captions for GLIDE's trainings: captions as rows of a small token table that holds their tokens only."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor
from torch.nn import functional as F

from baselines.diffusion.process import Diffusion
from baselines.glide.config import CLIP_END, CLIP_START, VocabularyConfig
from baselines.glide.tokenizer import ClipTokenizer, TextTokenizer, Vocabulary, clip_bpe
from baselines.pixels import save_grid, to_pixels
from baselines.training.batches import Examples, to_device
from baselines.training.losses import drop_mask
from baselines.training.pictures import load_pictures
from baselines.training.training import Training

TEXT_LENGTH = 40  # tokens; the longest of the bestiary's captions has 34
CLIP_TEXT_LENGTH = TEXT_LENGTH + 2
Tokenizer = TextTokenizer | ClipTokenizer


class TrainingSet:
    """Everything in memory.

    Raises:
        MissingPart, CompetitionError: as `load_pictures`.

    Attributes:
        images: uint8 (n, 3, 64, 64).
        captions: all different captions.
        captions_of: for each image the numbers of its captions.
        vocabulary: CLIP's BPE with the rows that the captions touch, its start and end among them.
        vocab_size: how many rows that are.
        kept: the hashes of all of it (`Captioned.kept`).
    """

    def __init__(self, folder: Path) -> None:
        pictures = load_pictures(folder)
        self.images, self.captions, self.kept = pictures.images, pictures.distinct_captions, pictures.kept
        self.captions_of = [pictures.caption_numbers[entry] for entry in pictures.entry.tolist()]
        encode = clip_bpe()
        rows = sorted({CLIP_START, CLIP_END}.union(*map(encode, self.captions)))
        self.vocabulary, self.vocab_size = VocabularyConfig("clip", tuple(rows)), len(rows)
        self.text_tokenizer = TextTokenizer(Vocabulary(encode, rows), TEXT_LENGTH, pad=0)
        self.clip_tokenizer = ClipTokenizer(Vocabulary(encode, rows), CLIP_TEXT_LENGTH)

    def pick_captions(self, indices: Tensor, generator: torch.Generator) -> Int64[Tensor, " b"]:
        """One of each image's captions, by its number."""
        chance = torch.rand(len(indices), generator=generator).tolist()
        own = [self.captions_of[index] for index in indices.tolist()]
        return torch.tensor([numbers[int(share * len(numbers))] for numbers, share in zip(own, chance, strict=True)])


class NoisedPictures:
    """A training set for a loss: pictures of `size` pixels, noised by `diffusion`, and captions, all on the device."""

    def __init__(
        self, training: Training, data: TrainingSet, tokenizer: Tokenizer, diffusion: Diffusion, size: int
    ) -> None:
        self.data, self.accelerator, self.device = data, training.accelerator, training.device
        self.diffusion, self.size = diffusion, size
        self.images, self.captions = Examples(data.images, self.device), tokenizer(data.captions)

    def pictures(self, indices: Int64[Tensor, " b"]) -> Float32[Tensor, "b 3 size size"]:
        """x_0, in -1 … 1."""
        return F.adaptive_avg_pool2d(self.images[indices].float() / 127.5 - 1, self.size)

    def noised(
        self, x0: Float32[Tensor, "b 3 h w"], t: Int64[Tensor, " b"], generator: torch.Generator
    ) -> tuple[Float32[Tensor, "b 3 h w"], Float32[Tensor, "b 3 h w"]]:
        """The noise, and x_t."""
        noise = to_device(torch.randn(x0.shape, generator=generator), self.device)
        return noise, self.diffusion.q_sample(x0, t, noise)

    def pick_captions(self, indices: Int64[Tensor, " b"], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """For each of the images one of its captions: tokens, and which or how many are real."""
        picked = self.data.pick_captions(indices, generator)
        tokens, real = self.captions
        return to_device(tokens[picked], self.device), to_device(real[picked], self.device)


def dropped(mask: Bool[Tensor, "b l"], fraction: float, generator: torch.Generator) -> Bool[Tensor, "b l"]:
    """A fraction of the prompts made empty, so that the model can also draw without one (classifier-free guidance)."""
    return mask & ~to_device(drop_mask(len(mask), fraction, generator), mask.device)[:, None]


def sheet(rows: list[Tensor], path: Path) -> None:
    """Rows of equally many images, (n, 3, h, w) in -1 … 1 and scaled to the largest, as one PNG."""
    size = max(row.shape[-1] for row in rows)
    pixels = [to_pixels(F.interpolate(row, size)).cpu() for row in rows]
    save_grid(torch.cat(pixels), path, columns=len(rows[0]))
