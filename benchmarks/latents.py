"""What cached latents save: a step of the course's UNet on them, and with the pictures encoded in each step as its own
loop does it. Random networks of the official sizes, 256-pixel pictures; forward and backward, without the optimizer."""

from __future__ import annotations

from functools import partial

import torch
from diffusers import AutoencoderKL, DDPMScheduler

from baselines.hardware import decide
from baselines.monster.sampling import NOISE_SCHEDULE
from baselines.monster.unets import build
from baselines.training.latents import Encoded, encode_batch, posterior
from baselines.training.objective import Denoiser, DenoisingLoss, Objective
from benchmarks.drawing import seconds

CPU_IMAGES = 8  # a step: more take their time in proportion
TOKENS, TEXT_WIDTH = 77, 512  # of openai/clip-vit-base-patch32


def latents(name: str, batch_size: int, repeats: int) -> dict[str, float]:
    """Images a second of both, and how many times faster cached latents are; taken in turns."""
    hardware = decide(name)
    device = torch.device(hardware.device)
    size = min(batch_size, CPU_IMAGES) if device.type == "cpu" else batch_size
    torch.manual_seed(0)
    autoencoder = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
        scaling_factor=0.18215,
    )
    autoencoder = autoencoder.to(device, memory_format=hardware.memory_format).eval().requires_grad_(False)
    model = Denoiser(build("maplestory", 4, 32, TEXT_WIDTH)).to(memory_format=hardware.memory_format).to(device)
    images = torch.randint(0, 256, (size, 3, 256, 256), dtype=torch.uint8)
    with torch.no_grad(), hardware.autocast():
        encoded = encode_batch(autoencoder, images.to(device)).half()
    text = torch.randn(size, TOKENS, TEXT_WIDTH).half(), torch.randn(size, TEXT_WIDTH).half()
    empty = torch.zeros(1, TOKENS, TEXT_WIDTH), torch.zeros(1, TEXT_WIDTH)
    data = Encoded(encoded, *text, empty, [[number] for number in range(size)]).to(device)
    alphas_cumprod = DDPMScheduler(**NOISE_SCHEDULE).alphas_cumprod
    loss = DenoisingLoss(Objective(), data, alphas_cumprod, device=device, autocast=hardware.autocast)

    def step(encodes: bool) -> None:
        if encodes:
            with torch.no_grad(), hardware.autocast():
                posterior(autoencoder, images.to(device).float() / 127.5 - 1)
        value, _ = loss(model, torch.arange(size), torch.Generator().manual_seed(0), 0.0)
        value.backward()
        model.zero_grad(set_to_none=True)

    times = seconds({"cached": partial(step, False), "encoding": partial(step, True)}, repeats)
    result = {f"{name}, images/s": size / time for name, time in times.items()}
    result["ratio"] = times["encoding"] / times["cached"]
    print(f"  {size} images a step on {hardware.device} in {hardware.precision}")
    for what, value in result.items():
        print(f"  {what:<22} {value:8.2f}", flush=True)
    return result
