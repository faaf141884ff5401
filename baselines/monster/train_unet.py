"""python -m baselines.monster.train_unet: the network that turns noise and a caption into latents.

A conditional latent diffusion model (Rombach et al., arXiv 2112.10752) on latents and text states that are computed
once: squared error of the velocity, weighted by min-SNR-5 (Hang et al., arXiv 2303.09556, section 3.4) but no time by
less than 0.3, captions dropped one time in ten for classifier-free guidance (arXiv 2207.12598), the pooled state alone
one time in two, an exponential moving average of the weights.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from baselines.diffusion.text import encode
from baselines.monster.sampling import NOISE_SCHEDULE, sample, solver
from baselines.pixels import save_grid, to_pixels
from baselines.pretrained import load_network
from baselines.training.batches import Examples, to_device
from baselines.training.denoising import q_sample
from baselines.training.latents import posterior_means
from baselines.training.losses import CAPTION_DROPOUT, drop_mask, stratified_timesteps
from baselines.training.options import RunOptions, option, parsed
from baselines.training.pictures import Pictures, encoded_once, load_pictures
from baselines.training.schedule import Schedule
from baselines.training.trainer import train
from submission.errors import run
from submission.hashes import file_sha256

POOLED_DROPOUT = 0.5  # of its own, that colours be read from the tokens; what it brings was not measured apart
SNR_GAMMA = 5.0
LEAST_WEIGHT = 0.3  # without it the noisy times, in which what the caption names is settled, would hardly count
PREVIEW_PROMPTS = 16
LATENT_SIZE = 16  # of 64-pixel pictures


@dataclass(frozen=True, kw_only=True)
class UNetOptions(RunOptions):
    """The UNet's training."""

    out: Path = Path("runs/unet")
    images: int = 180_000
    autoencoder: Path = option(Path("runs/autoencoder/model"), "diffusers folder")
    text_encoder: Path = option(Path("runs/text_encoder/model"), "folder with text_encoder/ and tokenizer/")
    accumulation: int = option(1, "batches added up for one step of the optimizer")
    init: Path | None = option(None, "a UNet's safetensors to start from (default: at random)")


def build(latent_channels: int, size: int, text_width: int) -> UNet2DConditionModel:
    """3.9 million parameters; attention to the caption's tokens at half size, and to its pooled state everywhere."""
    return UNet2DConditionModel(
        sample_size=size,
        in_channels=latent_channels,
        out_channels=latent_channels,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(72, 120),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=text_width,
        attention_head_dim=4,  # diffusers reads this as the number of heads here
        class_embed_type="projection",
        projection_class_embeddings_input_dim=text_width,
    )


def withhold(
    states: Tensor, pooled: Tensor, empty: tuple[Tensor, Tensor], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Token states (B, T, D) and pooled states (B, D) with those of no caption, (1, T, D) and (1, D), in some places.

    Both in one place of ten, the pooled state alone in half of the others.
    """
    fractions = CAPTION_DROPOUT, POOLED_DROPOUT
    no_caption, no_pooled = (to_device(drop_mask(len(states), f, generator), states.device) for f in fractions)
    states = torch.where(no_caption[:, None, None], empty[0], states)
    return states, torch.where((no_caption | no_pooled)[:, None], empty[1], pooled)


def velocity_loss(prediction: Tensor, x0: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Batch mean of max(min(SNR, 5) / (SNR + 1), 0.3) |v - prediction|^2; alphas_cumprod (B,), others (B, C, H, W)."""
    a = alphas_cumprod.view(-1, 1, 1, 1)
    v = a.sqrt() * noise - (1 - a).sqrt() * x0
    snr = alphas_cumprod / (1 - alphas_cumprod)
    weight = (snr.clamp(max=SNR_GAMMA) / (snr + 1)).clamp(min=LEAST_WEIGHT)
    return (weight * (prediction - v).square().mean(dim=(1, 2, 3))).mean() / weight.mean().detach()


@dataclass(frozen=True)
class VelocityLoss:
    """Of the UNet, on latents and captions that frozen networks have encoded.

    Attributes:
        latents, hidden, pooled: of each picture, scaled; of each caption, (L, D) and (D,).
        empty: hidden and pooled states of no caption, on the device.
        alphas_cumprod: (T,) of the schedule, on the CPU.
    """

    pictures: Pictures
    latents: Examples
    hidden: Examples
    pooled: Examples
    empty: tuple[Tensor, Tensor]
    alphas_cumprod: Tensor
    accelerator: Accelerator

    def __call__(
        self, model: nn.Module, indices: Tensor, generator: torch.Generator, done: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        device = self.accelerator.device
        x0 = self.latents[indices].float()
        picked = self.pictures.pick_captions(indices, generator)
        states, pooled = withhold(self.hidden[picked].float(), self.pooled[picked].float(), self.empty, generator)
        t = stratified_timesteps(len(indices), len(self.alphas_cumprod), generator)
        noise = to_device(torch.randn(x0.shape, generator=generator), device)
        a = to_device(self.alphas_cumprod[t], device)
        x = q_sample(x0, noise, a)
        with self.accelerator.autocast():
            prediction = model(x, to_device(t, device), states, class_labels=pooled).sample
        return velocity_loss(prediction.float(), x0, noise, a), {}


def train_unet(options: UNetOptions) -> Path:
    """Trains the UNet and returns the path of its averaged weights; those at a tenth of the training are beside it."""
    accelerator = options.accelerator()
    device = accelerator.device
    pictures = load_pictures(options.data)
    autoencoder = load_network(AutoencoderKL, options.autoencoder).to(device).eval()
    tokenizer = CLIPTokenizer.from_pretrained(options.text_encoder / "tokenizer")
    text_model = load_network(CLIPTextModel, options.text_encoder / "text_encoder").to(device).float().eval()

    def encode_all() -> dict[str, Tensor]:
        hidden, pooled = encode(text_model, tokenizer, pictures.distinct_captions, progress=True)
        latents = posterior_means(autoencoder, pictures.images, accelerator.autocast)
        return {"latents": latents, "hidden": hidden.half().cpu(), "pooled": pooled.half().cpu()}

    encoded = encoded_once(options.out / "encoded.safetensors", encode_all, accelerator)
    latents = encoded["latents"] * autoencoder.config.scaling_factor
    empty = encode(text_model, tokenizer, [""])
    loss = VelocityLoss(
        pictures,
        Examples(latents, device),
        Examples(encoded["hidden"], device),
        Examples(encoded["pooled"], device),
        empty,
        DDPMScheduler(**NOISE_SCHEDULE).alphas_cumprod,
        accelerator,
    )
    shown = pictures.some_captions(PREVIEW_PROMPTS)
    shown_text = encode(text_model, tokenizer, shown)

    def preview(model: nn.Module, path: Path) -> None:
        noise = torch.randn(len(shown), *latents.shape[1:], generator=torch.Generator().manual_seed(0)).to(device)
        with accelerator.autocast():
            z = sample(model, solver(), noise, shown_text, empty, steps=18, guidance_scale=2.0)
            x = autoencoder.decode(z / autoencoder.config.scaling_factor).sample
        save_grid(to_pixels(x), path)

    schedule = Schedule(
        options.images,
        options.batch_size,
        options.accumulation,
        options.learning_rate,
        ema_decay=0.999,
        preview_images=20_000,
        keep_at=(0.1,),
    )
    torch.manual_seed(schedule.seed)
    model = build(latents.shape[1], latents.shape[2], encoded["pooled"].shape[1])
    if options.init:
        model.load_state_dict({name: tensor.float() for name, tensor in load_file(options.init).items()})
    # What the pictures and captions were encoded with: a run must not be resumed with another.
    parts = (
        options.autoencoder / "diffusion_pytorch_model.safetensors",
        options.text_encoder / "text_encoder" / "model.safetensors",
    )
    kept: dict[str, object] = {
        "captions": len(pictures.distinct_captions),
        "encoders": [file_sha256(part) for part in parts],
    }
    if options.init:
        kept["init"] = file_sha256(options.init)
    weights = train(
        model,
        loss,
        len(latents),
        schedule,
        options.out,
        accelerator=accelerator,
        preview=preview,
        options=kept,
        compiled=options.compile,
    )
    accelerator.print(weights)
    return weights


def main(argv: list[str] | None = None) -> int:
    train_unet(parsed(__doc__, UNetOptions(), argv))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
