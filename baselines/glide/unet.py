"""GLIDE's UNet: the base model, the upsampler, and the inpainting variant of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.glide import openai
from baselines.glide.blocks import AttentionBlock, ResnetBlock, TextStates, TextTransformer, timestep_embedding, zeroed
from baselines.glide.config import UNetConfig

Resample = Literal["up", "down"]


class Level(nn.Module):
    """The blocks of one resolution: for each of `inputs`, its channels, a residual block, with attention behind it
    where the level `attends`; then the one that leaves the resolution, if any.

    They are made in the order in which they are called, but for the middle's attention.
    """

    def __init__(
        self, config: UNetConfig, inputs: Sequence[int], width: int, attends: bool, resample: Resample | None = None
    ) -> None:
        super().__init__()
        self.resnets, self.attentions = nn.ModuleList(), nn.ModuleList()
        for in_channels in inputs:
            self.resnets.append(ResnetBlock(config, in_channels, width))
            if attends:
                self.attentions.append(AttentionBlock(config, width))
        self.resampler = ResnetBlock(config, width, width, resample) if resample else None

    def block(self, index: int, x: Tensor, embedding: Tensor, text: Tensor) -> Tensor:
        """The residual block `index` and the attention after it."""
        x = self.resnets[index](x, embedding)
        return self.attentions[index](x, text) if self.attentions else x


class UNet(nn.Module):
    """x_t, t and a prompt to eps or x_0, and the interpolation v of the log variance. `config` decides the variant.

    `load_state_dict` takes its own state dicts, and OpenAI's of the same variant.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        embedding_width = config.embedding_width
        self.time_embedding = nn.Sequential(
            nn.Linear(config.model_channels, embedding_width), nn.SiLU(), nn.Linear(embedding_width, embedding_width)
        )
        self.text_encoder = TextTransformer(config)
        levels = list(zip(config.widths, config.attends, strict=True))
        channels = config.widths[0]
        self.conv_in = nn.Conv2d(config.in_channels, channels, 3, padding=1)
        skips = [channels]
        self.down_blocks = nn.ModuleList()
        for index, (width, attends) in enumerate(levels):
            inner = index != len(levels) - 1
            inputs = [channels] + [width] * (config.num_res_blocks - 1)
            self.down_blocks.append(Level(config, inputs, width, attends, "down" if inner else None))
            skips += [width] * (config.num_res_blocks + inner)
            channels = width
        self.mid_block = Level(config, [channels] * 2, channels, attends=False)
        self.mid_block.attentions.append(AttentionBlock(config, channels))  # between the two
        self.up_blocks = nn.ModuleList()
        for index, (width, attends) in reversed(list(enumerate(levels))):
            inputs = [before + skips.pop() for before in [channels] + [width] * config.num_res_blocks]
            self.up_blocks.append(Level(config, inputs, width, attends, "up" if index else None))
            channels = width
        self.conv_norm_out = nn.GroupNorm(config.norm_groups, channels)
        self.conv_out = zeroed(nn.Conv2d(channels, 6, 3, padding=1))
        self.openai_keys = openai.unet_keys(config)
        self.register_load_state_dict_pre_hook(openai.rename)  # type: ignore[no-untyped-call]

    @property
    def dtype(self) -> torch.dtype:
        """Of the blocks; the timestep's embedding and the output stay float32."""
        return self.conv_in.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.conv_in.weight.device

    def half_precision(self) -> UNet:
        """float16, but for the embedding of the timestep and the output, whose error sampling would multiply."""
        self.half()
        for end in (self.time_embedding, self.conv_norm_out, self.conv_out):
            end.float()
        return self

    def encode_text(self, tokens: Int[Tensor, "b l"], mask: Bool[Tensor, "b l"]) -> TextStates:
        """Once per prompt; `forward` takes the result at every step."""
        states: TextStates = self.text_encoder(tokens, mask)
        return states

    def forward(
        self,
        x: Float32[Tensor, "b 3 h w"],
        timesteps: Int[Tensor, " b"],
        text: TextStates,
        *,
        known: Float32[Tensor, "b 4 h w"] | None = None,
        low_res: Float32[Tensor, "b 3 h2 w2"] | None = None,
    ) -> Float[Tensor, "b 6 h w"]:
        """eps or x_0 in the first three channels, v (-1 … 1 from posterior to beta) in the others.

        Args:
            x: noisy images, about -1 … 1.
            timesteps: of the training schedule, 0 … train_timesteps - 1, however sampling is respaced.
            known: an inpainting model's known pixels (zero elsewhere) and their mask (1: known); None: all zero.
            low_res: an upsampler's image to upsample, in -1 … 1.
        """
        embedding = self.time_embedding(timestep_embedding(timesteps, self.config.model_channels))
        embedding = embedding.to(self.dtype) + text.pooled
        inputs = [x]
        if self.config.inpaint:
            inputs.append(x.new_zeros(len(x), 4, *x.shape[2:]) if known is None else known)
        if self.config.super_res:
            if low_res is None:
                raise ValueError("an upsampler needs the image to upsample")
            upsampled = F.interpolate(low_res, x.shape[2:], mode="bilinear", align_corners=False)
            inputs.append(upsampled)
        h = self.conv_in(torch.cat(inputs, dim=1).to(self.dtype))
        skips = [h]
        for level in cast("Sequence[Level]", self.down_blocks):
            for index in range(len(level.resnets)):
                h = level.block(index, h, embedding, text.hidden)
                skips.append(h)
            if level.resampler is not None:
                h = level.resampler(h, embedding)
                skips.append(h)
        h = self.mid_block.block(0, h, embedding, text.hidden)
        h = self.mid_block.resnets[1](h, embedding)
        for level in cast("Sequence[Level]", self.up_blocks):
            for index in range(len(level.resnets)):
                h = level.block(index, torch.cat([h, skips.pop()], dim=1), embedding, text.hidden)
            if level.resampler is not None:
                h = level.resampler(h, embedding)
        output: Tensor = self.conv_out(F.silu(self.conv_norm_out(h.float())))
        if self.config.super_res and self.config.predicts == "x0":
            output = output.float() + F.pad(upsampled, (0, 0, 0, 0, 0, 3))  # the first three channels
        return output
