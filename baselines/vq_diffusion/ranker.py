"""Which of several pictures of a prompt is kept: the one in which a network reads the prompt's words most surely.

Drawings are ranked as those of Ramesh et al. (arXiv 2102.12092, section 2.6), there by a CLIP. Here by log p(prompt |
picture), the prompt as a bag of words: each word of a vocabulary is in it or not, whatever the others are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from baselines.pretrained import Pretrained
from baselines.training.perceptual import PerceptualNetwork, words_in
from baselines.weight_files import in_8_bits, load_weights, read_object
from submission import atomic
from submission.errors import UsageError
from submission.paths import readable

RANKER = "ranker"  # the part's folder


class Ranker(nn.Module):
    """A network that reads words in pictures, as likelihoods of prompts.

    Args:
        words: its vocabulary, in the order of its logits.
        widths: the network's channels at each size.
    """

    def __init__(self, words: Sequence[str], widths: Sequence[int]) -> None:
        super().__init__()
        self.words, self.widths = list(words), list(widths)
        self.network = PerceptualNetwork(self.widths, len(self.words))

    def forward(self, images: UInt8[Tensor, "b 3 h w"], prompts: Sequence[str]) -> Float[Tensor, " b"]:
        """log p(prompt | picture) of each pair, in nats; at most 0."""
        logits = self.network(images.float() / 127.5 - 1)
        said = torch.tensor([[word in words for word in self.words] for words in map(words_in, prompts)])
        targets = said.to(logits)
        return -functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(1)

    def write(self, folder: Path) -> None:
        """As `load_ranker` reads it, matrices in 8 bits."""
        folder.mkdir(parents=True, exist_ok=True)
        atomic.write_json(folder / "config.json", {"words": self.words, "widths": self.widths})
        atomic.write_bytes(folder / "model.safetensors", save(in_8_bits(self.network.state_dict())))


def load_ranker(folder: Pretrained) -> Ranker:
    """The part `ranker`, in float32, which the folder need not have been opened with.

    Raises:
        MissingPart: it is not there, or lacks a file.
        UsageError: one is damaged, or the weights are not those of its config.json.
    """
    folder.require(RANKER)
    (file, *_), _ = folder.weights_of(RANKER)
    config = folder.hashed(f"{RANKER}/config.json")
    described = read_object(config)
    words: Any = described.get("words")
    widths: Any = described.get("widths")
    if not (_all(words, lambda word: isinstance(word, str)) and _all(widths, lambda n: type(n) is int and n > 0)):
        raise UsageError(f"{readable(config)} must have words and widths, lists of words and of positive numbers")
    ranker = Ranker(words, widths)
    load_weights(ranker.network, file)
    return ranker.eval()


def _all(value: Any, good: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and bool(value) and all(map(good, value))


def best(pictures: Sequence[UInt8[Tensor, "b 3 h w"]], ranker: Ranker, prompts: Sequence[str]) -> Tensor:
    """Of several pictures of each prompt the best, uint8 (b, 3, h, w).

    The first of equally good ones, and of a prompt none of whose words the ranker knows.
    """
    score = torch.stack([ranker(images, prompts) for images in pictures])
    unknown = [not words_in(prompt) & set(ranker.words) for prompt in prompts]
    score[:, unknown] = 0
    return torch.stack(list(pictures))[score.argmax(0), torch.arange(len(prompts))]
