"""python -m baselines.monster.train_text_encoder: the text encoder that conditions the UNet.

A small transformers CLIPTextModel, trained from scratch as CLIP was (Radford et al., arXiv 2103.00020, section 2.3):
symmetric cross-entropy between captions and pictures of a batch. That alone lets it learn each training monster by
heart, and read half of an unseen one: so from a caption's state it must also tell which words, and which pairs of
neighbouring words, another caption of the same monster has (the pairs tell "red and teal" from "teal and red"). Image
tower and word head are thrown away afterwards. It shares no weight, seed or shape with the scorer's CLIP.
"""

from __future__ import annotations

import math
import random
import string
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from baselines.monster.tokenizer import fitted
from baselines.training.batches import Examples, to_device
from baselines.training.losses import LossAndLog, contrastive_loss
from baselines.training.options import ReadingOptions, RunOptions, command, option
from baselines.training.pictures import Pictures
from baselines.training.training import Training
from baselines.training.words import Words, word_loss
from submission.errors import run

WIDTH, LAYERS, HEADS, MAX_TOKENS = 128, 3, 4, 48
WORDS_WEIGHT = 0.3  # of the cross-entropy of words and pairs, summed over all of them


def build_text_model(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """0.7 million parameters; the shape CLIPTextModel has everywhere, only smaller."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=MAX_TOKENS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


@dataclass(frozen=True, kw_only=True)
class TextEncoderOptions(RunOptions, ReadingOptions):
    """The text encoder's training."""

    out: Path = Path("runs/text_encoder")
    images: int = option(75_000, "pairs in all")
    batch_size: int = 128


class Contrast(nn.Module):
    """The pair of towers while they are trained: a text model and a plain convolutional image tower."""

    def __init__(self, text: CLIPTextModel, words: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((3, 32), (32, 64), (64, 128), (128, 192)):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
            if after > 32:
                layers += [nn.Conv2d(after, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        self.text = text
        self.image = nn.Sequential(*layers, nn.Flatten(), nn.Linear(192 * 16, WIDTH))
        self.words = nn.Linear(WIDTH, words)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, images: Tensor, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """images float (B, 3, 64, 64) in [-1, 1]; tokens, mask int64 (B, L) -> two (B, WIDTH) of norm 1, and the
        logits of each word and pair of words (B, V)."""
        picture = self.image(images)
        text = self.text(tokens, mask).pooler_output
        normed = functional.normalize(picture.float(), dim=1), functional.normalize(text.float(), dim=1)
        return *normed, self.words(text).float()


def with_a_strange_word(caption: str, rng: random.Random) -> str:
    """Now and then a word that means nothing: what the model learns to pass over."""
    if rng.random() < 0.8:
        return caption
    words = caption.split()
    strange = "".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 9)))
    words.insert(rng.randint(0, len(words)), strange)
    return " ".join(words)


class TextLoss:
    """Of a `Contrast`: captions against pictures, and of each caption the words that another one of its monster has.

    Pictures are moved a little and noised; captions now and then have a word that means nothing.
    """

    def __init__(self, pictures: Pictures, tokenizer: CLIPTokenizer, accelerator: Accelerator) -> None:
        self.pictures, self.tokenizer, self.accelerator = pictures, tokenizer, accelerator
        self.images = Examples(pictures.images, accelerator.device)
        distinct = pictures.distinct_captions
        ids = tokenizer(distinct, truncation=True, max_length=MAX_TOKENS)["input_ids"]
        self.ids = dict(zip(distinct, ids, strict=True))
        self.words = Words(self.ids.values())

    def __call__(self, model: Contrast, indices: Tensor, generator: torch.Generator, done: float) -> LossAndLog:
        device, captions = self.accelerator.device, self.pictures.captions
        rng = random.Random(int(torch.randint(2**31, (), generator=generator)))
        images = self.images[indices].float() / 127.5 - 1
        shift = torch.randint(-3, 4, (2,), generator=generator).tolist()
        noise = to_device(torch.randn(images.shape, generator=generator), device)
        images = torch.roll(images, shift, (2, 3)) + 0.05 * noise
        entries = self.pictures.entry[indices].tolist()
        texts = [with_a_strange_word(rng.choice(captions[entry]), rng) for entry in entries]
        tokens = self.tokenizer(texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        wanted = self.words.targets([self.ids[rng.choice(captions[entry])] for entry in entries])
        with self.accelerator.autocast():
            ids, mask = (to_device(tokens[name], device) for name in ("input_ids", "attention_mask"))
            image, text, words = model(images, ids, mask)
        asked = word_loss(words, to_device(wanted, device))
        scale = model.logit_scale.clamp(max=math.log(100)).exp()
        value, right = contrastive_loss(image, text, scale)
        return value + WORDS_WEIGHT * asked, {"top1": right, "words": asked.detach()}


def train_text_encoder(options: TextEncoderOptions) -> Path:
    """Trains tokenizer and text encoder and returns the folder of both."""
    pictures = options.pictures()
    tokenizer = fitted((caption for captions in pictures.captions for caption in captions), MAX_TOKENS)
    training = Training(options, weight_decay=0.05, ema_decay=0.995, seed=11)
    loss = TextLoss(pictures, tokenizer, training.accelerator)
    model = Contrast(build_text_model(tokenizer), len(loss.words))
    weights = training.train(model, loss, len(pictures.images), **pictures.kept)

    def write(out: Path) -> None:
        model.load_state_dict(load_file(weights))
        model.text.half().save_pretrained(out / "text_encoder")
        tokenizer.save_pretrained(out / "tokenizer")
        print(out)

    return training.finish(write)


main = command(train_text_encoder, __doc__, TextEncoderOptions())

if __name__ == "__main__":
    raise SystemExit(run(main))
