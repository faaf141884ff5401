"""python -m baselines.monster.train_unet: the network that turns noise and a caption into latents.

A conditional latent diffusion model (Rombach et al., arXiv 2112.10752) on latents and text states that are computed
once: squared error of the velocity, weighted by min-SNR-5 (Hang et al., arXiv 2303.09556, section 3.4) but no time by
less than 0.3, captions dropped one time in ten for classifier-free guidance (arXiv 2207.12598), the pooled state alone
one time in two, an exponential moving average of the weights.
"""

from __future__ import annotations

import sys
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
from baselines.training.losses import CAPTION_DROPOUT, drop_mask, stratified_timesteps
from baselines.training.options import accelerator_of, add_data, add_run, command_parser
from baselines.training.pictures import encoded_once, load_pictures
from baselines.training.schedule import Schedule
from baselines.training.trainer import train
from submission.errors import run
from submission.hashes import file_sha256
from submission.progress import track

POOLED_DROPOUT = 0.5  # of its own, that colours be read from the tokens; what it brings was not measured apart
SNR_GAMMA = 5.0
LEAST_WEIGHT = 0.3  # without it the noisy times, in which what the caption names is settled, would hardly count
PREVIEW_PROMPTS = 16
LATENT_SIZE = 16  # of 64-pixel pictures


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


@torch.no_grad()
def encode_pictures(autoencoder: AutoencoderKL, images: Tensor, accelerator: Accelerator) -> Tensor:
    """uint8 (N, 3, H, W) -> posterior means, float16 (N, C, H/4, W/4), unscaled."""
    latents = []
    for part in track(images.split(64), "encoding pictures (batches)"):
        with accelerator.autocast():
            x = part.to(accelerator.device).float() / 127.5 - 1
            latents.append(autoencoder.encode(x).latent_dist.mean.half().cpu())
    return torch.cat(latents)


def withhold(
    states: Tensor, pooled: Tensor, empty: tuple[Tensor, Tensor], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Token states (B, T, D) and pooled states (B, D) with those of no caption, (1, T, D) and (1, D), in some places.

    Both in one place of ten, the pooled state alone in half of the others.
    """
    shares = CAPTION_DROPOUT, POOLED_DROPOUT
    no_caption, no_pooled = (drop_mask(len(states), share, generator).to(states.device) for share in shares)
    states = torch.where(no_caption[:, None, None], empty[0], states)
    return states, torch.where((no_caption | no_pooled)[:, None], empty[1], pooled)


def velocity_loss(prediction: Tensor, x0: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Batch mean of max(min(SNR, 5) / (SNR + 1), 0.3) |v - prediction|^2; alphas_cumprod (B,), others (B, C, H, W)."""
    a = alphas_cumprod.view(-1, 1, 1, 1)
    v = a.sqrt() * noise - (1 - a).sqrt() * x0
    snr = alphas_cumprod / (1 - alphas_cumprod)
    weight = (snr.clamp(max=SNR_GAMMA) / (snr + 1)).clamp(min=LEAST_WEIGHT)
    return (weight * (prediction - v).square().mean(dim=(1, 2, 3))).mean() / weight.mean().detach()


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(__doc__)
    add_data(parser)
    parser.add_argument("--autoencoder", type=Path, default=Path("runs/autoencoder/model"), help="diffusers folder")
    parser.add_argument(
        "--text-encoder",
        type=Path,
        default=Path("runs/text_encoder/model"),
        help="folder with text_encoder/ and tokenizer/",
    )
    add_run(parser, "runs/unet", images=180_000, batch_size=32, learning_rate=1e-3)
    parser.add_argument("--accumulation", type=int, default=1, help="batches added up for one step of the optimizer")
    parser.add_argument("--init", type=Path, help="a UNet's safetensors to start from (default: at random)")
    args = parser.parse_args(argv)
    accelerator = accelerator_of(args)
    device = accelerator.device
    pictures = load_pictures(args.data)
    autoencoder = load_network(AutoencoderKL, args.autoencoder).to(device).eval()
    tokenizer = CLIPTokenizer.from_pretrained(args.text_encoder / "tokenizer")
    text_model = load_network(CLIPTextModel, args.text_encoder / "text_encoder").to(device).float().eval()

    def encode_all() -> dict[str, Tensor]:
        hidden, pooled = encode(text_model, tokenizer, pictures.distinct_captions, progress=True)
        latents = encode_pictures(autoencoder, pictures.images, accelerator)
        return {"latents": latents, "hidden": hidden.half().cpu(), "pooled": pooled.half().cpu()}

    encoded = encoded_once(args.out / "encoded.safetensors", encode_all, accelerator)
    latents = encoded["latents"] * autoencoder.config.scaling_factor
    hidden, pooled = encoded["hidden"], encoded["pooled"]
    empty = encode(text_model, tokenizer, [""])
    alphas_cumprod = DDPMScheduler(**NOISE_SCHEDULE).alphas_cumprod

    def loss(
        model: nn.Module, indices: Tensor, generator: torch.Generator, done: float
    ) -> tuple[Tensor, dict[str, float]]:
        x0 = latents[indices].float().to(device)
        picked = pictures.pick_captions(indices, generator)
        states, summary = hidden[picked].float().to(device), pooled[picked].float().to(device)
        states, summary = withhold(states, summary, empty, generator)
        t = stratified_timesteps(len(indices), len(alphas_cumprod), generator)
        noise = torch.randn(x0.shape, generator=generator).to(device)
        a = alphas_cumprod[t].to(device)
        x = a.sqrt().view(-1, 1, 1, 1) * x0 + (1 - a).sqrt().view(-1, 1, 1, 1) * noise
        with accelerator.autocast():
            prediction = model(x, t.to(device), states, class_labels=summary).sample
        return velocity_loss(prediction.float(), x0, noise, a), {}

    shown = pictures.some_captions(PREVIEW_PROMPTS)
    shown_text = encode(text_model, tokenizer, shown)

    def preview(model: nn.Module, path: Path) -> None:
        noise = torch.randn(len(shown), *latents.shape[1:], generator=torch.Generator().manual_seed(0)).to(device)
        with accelerator.autocast():
            z = sample(model, solver(), noise, shown_text, empty, steps=18, guidance_scale=2.0)
            x = autoencoder.decode(z / autoencoder.config.scaling_factor).sample
        save_grid(to_pixels(x), path)

    model = build(latents.shape[1], latents.shape[2], pooled.shape[1])
    if args.init:
        model.load_state_dict({name: tensor.float() for name, tensor in load_file(args.init).items()})
    schedule = Schedule(
        args.images,
        args.batch_size,
        args.accumulation,
        args.learning_rate,
        ema_decay=0.999,
        preview_images=20_000,
        keep_at=(0.1,),
    )
    # What the pictures and captions were encoded with: a run must not be resumed with another.
    parts = (
        args.autoencoder / "diffusion_pytorch_model.safetensors",
        args.text_encoder / "text_encoder" / "model.safetensors",
    )
    options = {"captions": len(pictures.distinct_captions), "encoders": [file_sha256(part) for part in parts]}
    if args.init:
        options["init"] = file_sha256(args.init)
    accelerator.print(
        train(model, loss, len(latents), schedule, args.out, accelerator=accelerator, preview=preview, options=options)
    )
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
