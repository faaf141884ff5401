"""GLIDE's UNet: the base model, the upsampler, and the inpainting variant of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.glide import openai
from baselines.glide.blocks import AttentionBlock, ResnetBlock, TextStates, TextTransformer, timestep_embedding, zeroed
from baselines.glide.config import UNetConfig


class Level(nn.Module):
    """The blocks of one resolution, and the one that leaves it (None at the end of its half of the UNet)."""

    def __init__(
        self, resnets: Sequence[nn.Module], attentions: Sequence[nn.Module], resampler: nn.Module | None
    ) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(resnets)
        self.attentions = nn.ModuleList(attentions)  # one per residual block, or none
        self.resampler = resampler

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
        widths = [config.model_channels * mult for mult in config.channel_mult]
        embedding_width = 4 * config.model_channels
        sizes = [config.image_size >> level for level in range(len(widths))]

        def resnet(in_channels: int, out_channels: int, resample: Any = None) -> ResnetBlock:
            return ResnetBlock(in_channels, out_channels, embedding_width, config.dropout, config.norm_groups, resample)

        def attention(channels: int) -> AttentionBlock:
            return AttentionBlock(channels, config.num_head_channels, config.text_width, config.norm_groups)

        self.time_embedding = nn.Sequential(
            nn.Linear(config.model_channels, embedding_width), nn.SiLU(), nn.Linear(embedding_width, embedding_width)
        )
        self.text_encoder = TextTransformer(
            config.vocab_size,
            config.text_length,
            config.text_width,
            config.text_layers,
            config.text_heads,
            pooled_width=embedding_width,
        )
        channels = widths[0]
        self.conv_in = nn.Conv2d(config.in_channels, channels, 3, padding=1)
        skips = [channels]
        self.down_blocks = nn.ModuleList()
        for width, size in zip(widths, sizes, strict=True):
            resnets, attentions = [], []
            for _ in range(config.num_res_blocks):
                resnets.append(resnet(channels, width))
                attentions += [attention(width)] if size in config.attention_resolutions else []
                channels = width
                skips.append(channels)
            last = len(self.down_blocks) == len(widths) - 1
            self.down_blocks.append(Level(resnets, attentions, None if last else resnet(channels, channels, "down")))
            skips += [] if last else [channels]
        self.mid_block = Level([resnet(channels, channels), resnet(channels, channels)], [attention(channels)], None)
        self.up_blocks = nn.ModuleList()
        for width, size in reversed(list(zip(widths, sizes, strict=True))):
            resnets, attentions = [], []
            for _ in range(config.num_res_blocks + 1):
                resnets.append(resnet(channels + skips.pop(), width))
                attentions += [attention(width)] if size in config.attention_resolutions else []
                channels = width
            last = len(self.up_blocks) == len(widths) - 1
            self.up_blocks.append(Level(resnets, attentions, None if last else resnet(channels, channels, "up")))
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
        upsampled = self._upsampled(x, low_res)
        h = self.conv_in(self._with_conditions(x, known, upsampled).to(self.dtype))
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
        if upsampled is not None and self.config.predicts == "x0":
            output = output.float() + F.pad(upsampled, (0, 0, 0, 0, 0, 3))  # the first three channels
        return output

    def _upsampled(self, x: Tensor, low_res: Tensor | None) -> Tensor | None:
        if not self.config.super_res:
            return None
        if low_res is None:
            raise ValueError("an upsampler needs the image to upsample")
        return F.interpolate(low_res, x.shape[2:], mode="bilinear", align_corners=False)

    def _with_conditions(self, x: Tensor, known: Tensor | None, upsampled: Tensor | None) -> Tensor:
        inputs = [x]
        if self.config.inpaint:
            inputs.append(x.new_zeros(x.shape[0], 4, *x.shape[2:]) if known is None else known)
        if upsampled is not None:
            inputs.append(upsampled)
        return torch.cat(inputs, dim=1)
