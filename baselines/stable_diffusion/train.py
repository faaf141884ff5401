"""python -m baselines.stable_diffusion.train: a small Stable Diffusion by the plain recipe, as a folder for diffusers.

Only the UNet is trained; autoencoder, text encoder and tokenizer are taken from another folder. Everything that the
monster does beyond the recipe of Rombach et al. (arXiv 2112.10752, section 3) is left out, so that it is a baseline to
beat: squared error of the noise, every time and every step of equal weight, no moving average of the weights.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDPMScheduler, DPMSolverMultistepScheduler, UNet2DConditionModel
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from baselines.diffusion.text import encode
from baselines.monster.train_unet import encode_pictures
from baselines.pixels import save_grid, to_pixels
from baselines.pretrained import load_network
from baselines.processes import in_the_first
from baselines.stable_diffusion.folder import assemble
from baselines.stable_diffusion.sampling import denoise
from baselines.training.losses import CAPTION_DROPOUT, drop_mask
from baselines.training.options import accelerator_of, add_data, add_run, add_share, command_parser
from baselines.training.pictures import encoded_once, load_pictures
from baselines.training.schedule import Schedule
from baselines.training.trainer import train
from submission import atomic, commands
from submission.errors import run
from submission.hashes import file_sha256

SAMPLING = {"steps": 20, "guidance_scale": 4.0, "batch_size": 32, "fixed_batch": 32}
PREVIEW_PROMPTS = 16
# Stable Diffusion v1's noise schedule.
NOISE_SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
}


def build(latent_channels: int, size: int, text_width: int) -> UNet2DConditionModel:
    """2.0 million parameters; attention to the caption's tokens at half size, and nothing else of the caption."""
    return UNet2DConditionModel(
        sample_size=size,
        in_channels=latent_channels,
        out_channels=latent_channels,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(48, 88),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=text_width,
        attention_head_dim=4,  # diffusers reads this as the number of heads here
    )


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(__doc__)
    add_data(parser)
    parser.add_argument(
        "--parts",
        type=Path,
        default=Path(__file__).resolve().parents[1] / "weights" / "monster",
        help="folder with vae/, text_encoder/ and tokenizer/",
    )
    add_run(parser, "runs/stable", images=75_000, batch_size=32, learning_rate=1e-3)
    parser.add_argument("--model", type=Path, default=None, help="the finished folder (default: OUT/model)")
    add_share(parser)
    args = parser.parse_args(argv)
    accelerator = accelerator_of(args)
    device = accelerator.device
    pictures = load_pictures(args.data)
    autoencoder = load_network(AutoencoderKL, args.parts / "vae").to(device).float().eval()
    tokenizer = CLIPTokenizer.from_pretrained(args.parts / "tokenizer")
    text_model = load_network(CLIPTextModel, args.parts / "text_encoder").to(device).float().eval()

    # The names say what encoded them: what another autoencoder or text encoder made is never taken for it.
    sha256 = {part: file_sha256(next((args.parts / part).glob("*.safetensors"))) for part in ("vae", "text_encoder")}
    latents = encoded_once(
        args.out / f"latents-{sha256['vae'][:12]}.safetensors",
        lambda: {"tensor": encode_pictures(autoencoder, pictures.images, accelerator)},
        accelerator,
    )["tensor"]
    hidden = encoded_once(
        args.out / f"hidden-{sha256['text_encoder'][:12]}.safetensors",
        lambda: {"tensor": encode(text_model, tokenizer, pictures.distinct_captions, progress=True)[0].half().cpu()},
        accelerator,
    )["tensor"]
    latents = latents * autoencoder.config.scaling_factor
    empty = encode(text_model, tokenizer, [""])[0]
    schedule = DDPMScheduler(**NOISE_SCHEDULE)

    def loss(
        model: nn.Module, indices: Tensor, generator: torch.Generator, done: float
    ) -> tuple[Tensor, dict[str, float]]:
        x0 = latents[indices].float()
        picked = pictures.pick_captions(indices, generator)
        dropped = drop_mask(len(indices), CAPTION_DROPOUT, generator).to(device)
        states = torch.where(dropped[:, None, None], empty, hidden[picked].float().to(device))
        t = torch.randint(schedule.config.num_train_timesteps, (len(indices),), generator=generator)
        noise = torch.randn(x0.shape, generator=generator)
        x = schedule.add_noise(x0, noise, t)
        with accelerator.autocast():
            prediction = model(x.to(device), t.to(device), states).sample
        return functional.mse_loss(prediction.float(), noise.to(device)), {}

    shown = pictures.some_captions(PREVIEW_PROMPTS)
    shown_text = encode(text_model, tokenizer, shown)[0]
    solver = DPMSolverMultistepScheduler(**NOISE_SCHEDULE, steps_offset=1)

    def preview(model: nn.Module, path: Path) -> None:
        noise = torch.randn(len(shown), *latents.shape[1:], generator=torch.Generator().manual_seed(0)).to(device)
        with accelerator.autocast():
            z = denoise(
                model,
                solver,
                noise,
                shown_text,
                empty,
                steps=SAMPLING["steps"],
                guidance_scale=SAMPLING["guidance_scale"],
            )
            x = autoencoder.decode(z / autoencoder.config.scaling_factor).sample
        save_grid(to_pixels(x), path)

    model = build(latents.shape[1], latents.shape[2], hidden.shape[2])
    plan = Schedule(
        args.images,
        args.batch_size,
        learning_rate=args.learning_rate,
        ema_decay=0.0,  # the weights as they are
        preview_images=10_000,
    )
    weights = train(
        model,
        loss,
        len(latents),
        plan,
        args.out,
        accelerator=accelerator,
        preview=preview,
        options={"captions": len(pictures.distinct_captions), "encoders": sha256},
    )
    out = args.model or args.out / "model"

    def finish() -> None:
        unet = build(latents.shape[1], latents.shape[2], hidden.shape[2])
        unet.load_state_dict(load_file(weights))
        assemble(unet.half(), solver, args.parts, out, share=args.share)
        atomic.write_json(out / "sampling.json", SAMPLING)
        print(f"{out}: draw with {commands.drawing('stable', out)}")

    in_the_first(accelerator, finish)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
