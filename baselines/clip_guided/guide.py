"""The guides: small CLIPs (Radford et al., arXiv 2103.00020), one of which may see noised images and their t.

Everything in the image tower is smooth and none of it looks at other images, so that its gradient by an image is good
for something and is that image's own.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from diffusers.models.embeddings import get_timestep_embedding
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from baselines.clip_guided.words import FIRST_WORD, PAD, UNKNOWN, WordTokenizer
from baselines.weight_files import read_object
from submission.errors import UsageError
from submission.paths import readable

MAX_LOGIT_SCALE = math.log(100)  # Radford et al., section 2.5


@dataclass(frozen=True)
class GuideConfig:
    """What a guide's weights fit into.

    Attributes:
        words: its vocabulary, in the order of the rows.
        image_size: of the images, in pixels; a multiple of 8.
        noised: it was trained on x_t, with t.
        widths: channels at a half, a quarter and an eighth of the size; multiples of 8.
        text_length: words at most, the start among them.
    """

    words: tuple[str, ...]
    image_size: int = 32
    noised: bool = False
    widths: tuple[int, int, int] = (32, 64, 72)
    text_width: int = 64
    text_layers: int = 2
    text_heads: int = 4
    text_length: int = 40
    embed_dim: int = 64

    def as_json(self) -> dict[str, Any]:
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> GuideConfig:
        """Raises TypeError for unknown keys."""
        fields: dict[str, Any] = {key: tuple(x) if isinstance(x, list) else x for key, x in value.items()}
        return cls(**fields)


class ImageBlock(nn.Module):
    """Half the size and a residual convolution, whose input t scales and shifts (arXiv 1709.07871)."""

    def __init__(self, before: int, after: int, time_width: int | None) -> None:
        super().__init__()
        self.down = nn.Conv2d(before, after, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(8, after)
        self.conv = nn.Conv2d(after, after, 3, padding=1)
        self.time = None if time_width is None else nn.Linear(time_width, 2 * after)
        if self.time is not None:  # at first it looks at all times alike
            nn.init.zeros_(self.time.weight)
            nn.init.zeros_(self.time.bias)

    def forward(self, x: Float[Tensor, "b c h w"], time: Float[Tensor, "b d"] | None) -> Float[Tensor, "b e i j"]:
        x = self.down(x)
        inner = self.norm(x)
        if self.time is not None:
            scale, shift = self.time(time)[:, :, None, None].chunk(2, dim=1)
            inner = inner * (1 + scale) + shift
        x = x + self.conv(functional.silu(inner))
        return x


class Guide(nn.Module):
    """Both towers and the scale of their similarity.

    Attributes:
        text_mean: of the features of the training's texts, each of length 1: what they have in common. (embed,)
    """

    text_mean: Tensor

    def __init__(self, config: GuideConfig) -> None:
        super().__init__()
        self.config = config
        time_width = config.text_width if config.noised else None
        channels = (3, *config.widths)
        self.blocks = nn.ModuleList(ImageBlock(before, after, time_width) for before, after in pairwise(channels))
        self.time_mlp = None if time_width is None else nn.Sequential(nn.Linear(time_width, time_width), nn.SiLU())
        self.image_norm = nn.GroupNorm(8, config.widths[-1])
        self.image_projection = nn.Linear(config.widths[-1], config.embed_dim)
        width = config.text_width
        self.token_embedding = nn.Embedding(FIRST_WORD + len(config.words), width)
        self.position_embedding = nn.Parameter(torch.randn(config.text_length, width) * 0.1)  # as large as the tokens
        nn.init.normal_(self.token_embedding.weight, std=0.1)
        layer = nn.TransformerEncoderLayer(
            width, config.text_heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.text_layers = nn.TransformerEncoder(layer, config.text_layers, enable_nested_tensor=False)
        self.text_norm = nn.LayerNorm(width)
        self.text_projection = nn.Linear(width, config.embed_dim)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.register_buffer("text_mean", torch.zeros(config.embed_dim))

    @property
    def tokenizer(self) -> WordTokenizer:
        return WordTokenizer(self.config.words, self.config.text_length)

    @property
    def scale(self) -> Float[Tensor, ""]:
        """What a cosine is multiplied by to be a logit."""
        return self.logit_scale.clamp(max=MAX_LOGIT_SCALE).exp()

    def image_state(
        self, images: Float[Tensor, "b 3 s s"], timesteps: Int[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b width"]:
        """What `image_features` are made of."""
        time = None
        if self.time_mlp is not None:
            assert timesteps is not None, "a noised guide needs t"
            sinusoids = get_timestep_embedding(timesteps, self.config.text_width, flip_sin_to_cos=True)
            time = self.time_mlp(sinusoids.to(images.dtype))
        x = images
        for block in self.blocks:
            x = block(x, time)
        return functional.silu(self.image_norm(x)).mean(dim=(2, 3))

    def image_features(
        self, images: Float[Tensor, "b 3 s s"], timesteps: Int[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b embed"]:
        """Of images in about -1 … 1, not normalised; `timesteps` of the training schedule where the guide is noised."""
        features: Tensor = self.image_projection(self.image_state(images, timesteps))
        return features

    def text_state(self, tokens: Int[Tensor, "b l"]) -> Float[Tensor, "b width"]:
        """What `text_features` are made of, read where the text begins."""
        x = self.token_embedding(tokens) + self.position_embedding
        x = self.text_layers(x, src_key_padding_mask=tokens == PAD)
        state: Tensor = self.text_norm(x[:, 0])
        return state

    def text_features(self, tokens: Int[Tensor, "b l"]) -> Float[Tensor, "b embed"]:
        """Of token rows as `tokenizer` makes them, not normalised."""
        features: Tensor = self.text_projection(self.text_state(tokens))
        return features

    def forward(
        self, images: Tensor, tokens: Tensor, timesteps: Tensor | None = None
    ) -> tuple[Float[Tensor, "b embed"], Float[Tensor, "b embed"], Float[Tensor, ""]]:
        """Features of both, of length 1, and the scale of their cosine."""
        image, text = self.image_features(images, timesteps), self.text_features(tokens)
        return functional.normalize(image.float(), dim=1), functional.normalize(text.float(), dim=1), self.scale


def load(config: Path, weights: Path) -> Guide:
    """The guide of two files, in float32. Raises UsageError when they are not a guide's."""
    fields = read_object(config)
    try:
        guide = Guide(GuideConfig.from_json(fields))
        guide.load_state_dict({"text_mean": guide.text_mean, **load_file(weights)})  # older ones have no mean
    except (TypeError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{readable(config)} and {readable(weights)} are not of a guide: {reason}") from None
    return guide.float().eval()


def grown(guide: Guide, config: GuideConfig) -> Guide:
    """`guide` as `config` has it: with more words, which begin as the unknown word.

    Raises:
        ValueError: the towers differ, or words are lost or have moved.
    """
    old = guide.config
    if config.words[: len(old.words)] != old.words:
        raise ValueError("the words of the guide must come first and in their order")
    if config != replace(old, words=config.words, image_size=config.image_size):
        raise ValueError("the guide does not fit: its towers are others")
    fresh = Guide(config)
    state = dict(guide.state_dict())
    rows = state["token_embedding.weight"]
    new = fresh.state_dict()["token_embedding.weight"][len(rows) :]
    state["token_embedding.weight"] = torch.cat([rows, rows[UNKNOWN] + 0.2 * new])
    fresh.load_state_dict(state)
    return fresh
