"""How large GLIDE's networks are and how they are sampled: a JSON beside the weights."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, PositiveInt, TypeAdapter, ValidationError

from submission import atomic
from submission.errors import UsageError

FILE_NAME = "glide.json"
CLIP_START, CLIP_END = 49406, 49407  # in CLIP's vocabulary


class _Strict:
    """What pydantic reads without allowing other keys."""

    __pydantic_config__ = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class UNetConfig(_Strict):
    """A text-conditional UNet (GLIDE, arXiv 2112.10741, section 4).

    Attributes:
        image_size: of the images it denoises, in pixels.
        model_channels: width of the first level.
        num_res_blocks: residual blocks per level.
        channel_mult: width of each level over the first; each level halves the resolution.
        attention_resolutions: where it attends, in pixels.
        num_head_channels: width of an attention head.
        norm_groups: of every group norm; each width must be a multiple of it. With as many groups as channels the
            last norm would take an image's mean colour from what it predicts.
        text_length: tokens of a prompt; longer ones are cut.
        text_width, text_layers, text_heads: of the text transformer.
        vocab_size: rows of the token table.
        noise_schedule: `squaredcos_cap_v2` or `linear`, with `train_timesteps` steps.
        inpaint: it sees the known pixels and their mask beside x_t (section 3.2).
        super_res: it sees a low-resolution image, upsampled, beside x_t.
        dropout: while training.
        predicts: the noise, as OpenAI's models do; or the image, an upsampler's as what its bilinearly upsampled
            input lacks. Predicted noise leaves noise behind when a small network draws in a few steps.
    """

    image_size: PositiveInt
    model_channels: PositiveInt
    num_res_blocks: PositiveInt
    channel_mult: tuple[PositiveInt, ...]
    attention_resolutions: tuple[PositiveInt, ...]
    num_head_channels: PositiveInt
    text_length: PositiveInt
    text_width: PositiveInt
    text_layers: PositiveInt
    text_heads: PositiveInt
    vocab_size: PositiveInt
    noise_schedule: Literal["squaredcos_cap_v2", "linear"]
    train_timesteps: PositiveInt = 1000
    inpaint: bool = False
    super_res: bool = False
    dropout: float = 0.1
    norm_groups: PositiveInt = 32
    predicts: Literal["eps", "x0"] = "eps"

    def __post_init__(self) -> None:
        widths = self.widths
        if not widths or any(width % self.norm_groups for width in widths):
            raise ValueError("model_channels times each of channel_mult must be a multiple of norm_groups")
        attending = zip(widths, [*self.attends[:-1], True], strict=True)  # the middle does whatever the last level does
        if any(width % self.num_head_channels for width, attends in attending if attends):
            raise ValueError("num_head_channels must divide the width of every level that attends")
        if self.text_width % self.text_heads:
            raise ValueError("text_heads must divide text_width")
        if self.image_size % 2 ** (len(widths) - 1):
            raise ValueError(f"image_size must be halved {len(widths) - 1} times, once between levels")

    @property
    def widths(self) -> list[int]:
        """Of each level."""
        return [self.model_channels * mult for mult in self.channel_mult]

    @property
    def attends(self) -> list[bool]:
        """For each level whether it does."""
        return [self.image_size >> level in self.attention_resolutions for level in range(len(self.channel_mult))]

    @property
    def embedding_width(self) -> int:
        """Of the timestep's embedding and the whole prompt's."""
        return 4 * self.model_channels

    @property
    def in_channels(self) -> int:
        """x_t; known pixels and their mask; the upsampled low-resolution image."""
        return 3 + 4 * self.inpaint + 3 * self.super_res


@dataclass(frozen=True)
class ClipTowerConfig(_Strict):
    """What both towers of the noised CLIP have: blocks of `num_heads` heads of width `head_dim`."""

    num_layers: PositiveInt
    num_heads: PositiveInt
    head_dim: PositiveInt

    @property
    def width(self) -> int:
        return self.num_heads * self.head_dim


@dataclass(frozen=True)
class NoisedClipConfig(_Strict):
    """A CLIP whose image tower sees x_t and t (section 3.3).

    Attributes:
        logit_scale: of the similarities; not in OpenAI's files, where it is 100.
    """

    image: ClipTowerConfig
    text: ClipTowerConfig
    image_size: PositiveInt
    patch_size: PositiveInt
    embed_dim: PositiveInt
    vocab_size: PositiveInt
    text_length: PositiveInt
    train_timesteps: PositiveInt = 1000
    logit_scale: float = 100.0

    def __post_init__(self) -> None:
        if self.image_size % self.patch_size:
            raise ValueError("patch_size must divide image_size")


@dataclass(frozen=True)
class Sampling(_Strict):
    """Defaults of drawing; the scales are those of OpenAI's notebooks.

    Attributes:
        steps: of the base model.
        sampler: of the base model.
        clip_sampler: of the base model where CLIP guides: its gradient drives DDIM away from images in few steps.
        guidance_scale: classifier-free, equation 4 of the paper; 1 is no guidance.
        clip_scale: of the CLIP gradient, equation 6.
        clip_guidance_scale: classifier-free guidance where CLIP guides too; 1 is CLIP alone.
        inpaint_guidance_scale: classifier-free, when inpainting.
        upsample_respacing: `respace`'s sections for the upsampler, without guidance.
        upsample_temperature: the upsampler's start noise is this times standard normal.
        batch_size: prompts at a time.
        fixed_batch: whatever the batch, the networks are given so many prompts at a time (`in_fixed_batches`); None: as
            many as there are.
    """

    steps: PositiveInt = 100
    sampler: Literal["ancestral", "ddim"] = "ancestral"
    clip_sampler: Literal["ancestral", "ddim"] = "ancestral"
    guidance_scale: float = 3.0
    clip_scale: float = 3.0
    clip_guidance_scale: float = 1.0
    inpaint_guidance_scale: float = 5.0
    upsample_respacing: str = "fast27"
    upsample_temperature: float = 0.997
    batch_size: PositiveInt = 16
    fixed_batch: PositiveInt | None = None


@dataclass(frozen=True)
class VocabularyConfig(_Strict):
    """A BPE and, of its ids, those that have a row in the token table, in the rows' order; None: all.

    `files` is the folder's own vocab.json and merges.txt in GPT-2's format, `clip` is CLIP's, which open_clip brings.
    An id without a row is left out of the prompt: the network has never seen it.
    """

    bpe: Literal["files", "clip"]
    rows: tuple[int, ...] | None = None


@dataclass(frozen=True)
class GlideConfig(_Strict):
    """Everything beside the weights. `models` names the UNets: base, upsample, base_inpaint, upsample_inpaint."""

    models: dict[Literal["base", "upsample", "base_inpaint", "upsample_inpaint"], UNetConfig]
    clip: NoisedClipConfig | None = None
    text: VocabularyConfig = field(default_factory=lambda: VocabularyConfig("files"))
    clip_text: VocabularyConfig = field(default_factory=lambda: VocabularyConfig("clip"))
    sampling: Sampling = field(default_factory=Sampling)

    def __post_init__(self) -> None:
        for name, model in self.models.items():
            if model.super_res != name.startswith("upsample"):
                raise ValueError(f"models.{name}: super_res must be {str(name.startswith('upsample')).lower()}")
            if name.endswith("_inpaint") and not model.inpaint:
                raise ValueError(f"models.{name}: inpaint must be true")
            if self.text.rows is not None and len(self.text.rows) != model.vocab_size:
                raise ValueError(f"models.{name}: vocab_size must be that of text.rows, {len(self.text.rows)}")
        if len({(model.text_length, model.vocab_size) for model in self.models.values()}) > 1:
            raise ValueError("models: all must have the same text_length and vocab_size: they share a tokenizer")
        if self.clip is not None and (rows := self.clip_text.rows) is not None:
            if len(rows) != self.clip.vocab_size:
                raise ValueError(f"clip: vocab_size must be that of clip_text.rows, {len(rows)}")
            if not {CLIP_START, CLIP_END} <= set(rows):
                raise ValueError(f"clip_text.rows must have the start and end tokens, {CLIP_START} and {CLIP_END}")

    def for_inpainting(self, stage: Literal["base", "upsample"]) -> str | None:
        """The UNet that inpaints at this stage: the one for it, or the plain one if it can."""
        names = [name for name in (f"{stage}_inpaint", stage) if name in self.models and self.models[name].inpaint]
        return names[0] if names else None


def read_config(path: Path) -> GlideConfig:
    """The JSON that `write_config` wrote. Raises UsageError that names the wrong keys."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return TypeAdapter(GlideConfig).validate_python(value)
    except ValidationError as error:
        keys = [f"  {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}" for wrong in error.errors()[:10]]
        raise UsageError("\n".join([f"{path} is not a GLIDE configuration:", *keys])) from None
    except (ValueError, OSError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None


def write_config(path: Path, config: GlideConfig) -> None:
    """As JSON, for `read_config`."""
    atomic.write_json(path, dataclasses.asdict(config))
