"""From noise to latents: classifier-free guidance around any of diffusers' solvers that draw no noise themselves."""

from __future__ import annotations

import torch
from diffusers import SchedulerMixin, UNet2DConditionModel
from jaxtyping import Float, Float32
from torch import Tensor


def denoise(
    unet: UNet2DConditionModel,
    scheduler: SchedulerMixin,
    noise: Float32[Tensor, "b c h w"],
    text: Float[Tensor, "b l d"],
    empty: Float[Tensor, "1 l d"],
    *,
    steps: int,
    guidance_scale: float,
) -> Float32[Tensor, "b c h w"]:
    """Latents (not yet divided by the scaling factor), drawn from standard normal `noise`.

    Args:
        text: hidden states of each prompt's tokens, in the precision that the network computes in.
        empty: the same of the empty prompt, which stands for no prompt.
        steps: calls of the network.
        guidance_scale: u + s (c - u), Ho & Salimans (arXiv 2207.12598, equation 6); 1 draws by the prompt alone.
    """
    guided = guidance_scale != 1
    states = torch.cat([empty.expand_as(text), text]) if guided else text
    scheduler.set_timesteps(steps, device=noise.device)
    x = noise * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        stacked = scheduler.scale_model_input(torch.cat([x, x]) if guided else x, t)
        output = unet(stacked.to(text.dtype), t, encoder_hidden_states=states).sample.float()
        if guided:
            without, with_prompt = output.chunk(2)
            output = without + guidance_scale * (with_prompt - without)
        x = scheduler.step(output, t, x).prev_sample
    return x
