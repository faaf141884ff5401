"""python -m baselines.stable_diffusion.train: a small Stable Diffusion by the plain recipe, as a folder for diffusers.

Only the UNet is trained; autoencoder, text encoder and tokenizer are taken from another folder. Everything that the
monster does beyond the recipe of Rombach et al. (arXiv 2112.10752, section 3) is left out, so that it is a baseline to
beat: squared error of the noise, every time and every step of equal weight, no moving average of the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL, DDPMScheduler, DPMSolverMultistepScheduler, UNet2DConditionModel
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModel

from baselines.diffusion.schedules import SCALED_LINEAR
from baselines.diffusion.solver import sample
from baselines.diffusion.text import encode
from baselines.pixels import save_grid, to_pixels
from baselines.pretrained import WEIGHTS
from baselines.stable_diffusion.folder import assemble
from baselines.training.batches import Examples, to_device
from baselines.training.denoising import q_sample
from baselines.training.latents import in_batches
from baselines.training.losses import CAPTION_DROPOUT, LossAndLog, drop_mask
from baselines.training.options import RunOptions, SharedParts, command, option
from baselines.training.pictures import Pictures, load_pictures
from baselines.training.training import Training
from baselines.weight_files import load_network, load_tokenizer
from submission import atomic, commands
from submission.errors import run
from submission.hashes import file_sha256

SAMPLING = {"steps": 20, "guidance_scale": 3.0, "batch_size": 32, "fixed_batch": 32}
PREVIEW_PROMPTS = 16
NOISE_SCHEDULE = SCALED_LINEAR | {"prediction_type": "epsilon"}


@dataclass(frozen=True, kw_only=True)
class StableOptions(RunOptions, SharedParts):
    """The UNet's training."""

    out: Path = Path("runs/stable")
    images: int = 5_780_000
    batch_size: int = 1024
    learning_rate: float = 1.5e-3
    parts: Path = option(WEIGHTS / "monster", "folder with vae/, text_encoder/ and tokenizer/")
    model: Path | None = option(None, "the finished folder (default: OUT/model)")


PRESETS = {"bestiary": StableOptions()}


def build(latent_channels: int, size: int, text_width: int) -> UNet2DConditionModel:
    """2.2 million parameters; attention to the caption's tokens at both sizes, and nothing else of the caption."""
    return UNet2DConditionModel(
        sample_size=size,
        in_channels=latent_channels,
        out_channels=latent_channels,
        down_block_types=("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2,
        block_out_channels=(48, 88),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=text_width,
        attention_head_dim=4,  # diffusers reads this as the number of heads here
    )


@dataclass(frozen=True)
class NoiseLoss:
    """Squared error of the noise (Ho et al., arXiv 2006.11239, equation 14), on what frozen networks have encoded."""

    pictures: Pictures
    latents: Examples  # of each picture, scaled
    hidden: Examples  # of each caption, (L, D)
    empty: Tensor  # hidden states of no caption, on the device
    schedule: DDPMScheduler
    accelerator: Accelerator

    def __call__(self, model: nn.Module, indices: Tensor, generator: torch.Generator, done: float) -> LossAndLog:
        device = self.accelerator.device
        x0 = self.latents[indices].float()
        picked = self.pictures.pick_captions(indices, generator)
        dropped = to_device(drop_mask(len(indices), CAPTION_DROPOUT, generator), device)
        states = torch.where(dropped[:, None, None], self.empty, self.hidden[picked].float())
        t = torch.randint(self.schedule.config.num_train_timesteps, (len(indices),), generator=generator)
        noise = to_device(torch.randn(x0.shape, generator=generator), device)
        x = q_sample(x0, noise, to_device(self.schedule.alphas_cumprod[t], device))
        with self.accelerator.autocast():
            prediction = model(x, to_device(t, device), states).sample
        return functional.mse_loss(prediction.float(), noise), {}


def train_stable(options: StableOptions) -> Path:
    """Trains the UNet and returns the finished folder."""
    # No average: the weights as they are.
    training = Training(options, ema_decay=0.0, preview_images=250_000)
    accelerator, device = training.accelerator, training.device
    pictures = load_pictures(options.data)
    autoencoder = load_network(AutoencoderKL, options.parts / "vae").to(device).float().eval()
    text_model = load_network(CLIPTextModel, options.parts / "text_encoder").to(device).float().eval()
    tokenizer = load_tokenizer(options.parts / "tokenizer", text_model)

    def means(images: Tensor) -> Tensor:
        found: Tensor = autoencoder.encode(images.to(device).float() / 127.5 - 1).latent_dist.mean
        return found.half()

    def encode_pictures() -> dict[str, Tensor]:
        return {"tensor": in_batches(means, pictures.images, accelerator.autocast)}

    def encode_captions() -> dict[str, Tensor]:
        return {"tensor": encode(text_model, tokenizer, pictures.distinct_captions, progress=True)[0].half().cpu()}

    sha256 = {part: file_sha256(next((options.parts / part).glob("*.safetensors"))) for part in ("vae", "text_encoder")}
    latents = training.encoded("latents", [sha256["vae"], pictures.sha256], encode_pictures)["tensor"]
    hidden = training.encoded("hidden", [sha256["text_encoder"], pictures.distinct_captions], encode_captions)["tensor"]
    latents = latents * autoencoder.config.scaling_factor
    empty = encode(text_model, tokenizer, [""])[0]
    noising = DDPMScheduler(**NOISE_SCHEDULE)
    loss = NoiseLoss(pictures, Examples(latents, device), Examples(hidden, device), empty, noising, accelerator)
    shown = encode(text_model, tokenizer, pictures.some_captions(PREVIEW_PROMPTS))[0]
    solver = DPMSolverMultistepScheduler(**NOISE_SCHEDULE, steps_offset=1)
    steps, scale = int(SAMPLING["steps"]), SAMPLING["guidance_scale"]

    def preview(model: nn.Module, path: Path) -> None:
        noise = torch.randn(len(shown), *latents.shape[1:], generator=torch.Generator().manual_seed(0)).to(device)
        with accelerator.autocast():
            z = sample(model, solver, noise, [shown], [empty], steps=steps, guidance_scale=scale)
            x = autoencoder.decode(z / autoencoder.config.scaling_factor).sample
        save_grid(to_pixels(x), path)

    unet = build(latents.shape[1], latents.shape[2], hidden.shape[2])
    weights = training.train(unet, loss, len(latents), preview, encoders=sha256, **pictures.kept)

    def write(out: Path) -> None:
        unet.load_state_dict(load_file(weights))
        assemble(unet.half(), solver, options.parts, out, share=options.share)
        atomic.write_json(out / "sampling.json", SAMPLING)
        print(f"{out}: draw with {commands.drawing('stable', out)}")

    return training.finish(write, options.model)


main = command(train_stable, __doc__, PRESETS)

if __name__ == "__main__":
    raise SystemExit(run(main))
