"""How the monster draws: classifier-free guidance, and DPM-Solver++ from noise to latents."""

from __future__ import annotations

import torch
from diffusers import DPMSolverMultistepScheduler, UNet2DConditionModel
from jaxtyping import Float32
from torch import Tensor

# Stable Diffusion's schedule of noise, with v-prediction (Salimans & Ho, arXiv 2202.00512, section 4).
NOISE_SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
}


def solver() -> DPMSolverMultistepScheduler:
    """DPM-Solver++(2M) (Lu et al., arXiv 2211.01095, algorithm 2)."""
    return DPMSolverMultistepScheduler(**NOISE_SCHEDULE, algorithm_type="dpmsolver++", solver_order=2, steps_offset=1)


def sample(
    unet: UNet2DConditionModel,
    scheduler: DPMSolverMultistepScheduler,
    noise: Float32[Tensor, "b c h w"],
    text: tuple[Float32[Tensor, "b l d"], Float32[Tensor, "b d"]],
    empty: tuple[Float32[Tensor, "1 l d"], Float32[Tensor, "1 d"]],
    *,
    steps: int,
    guidance_scale: float,
) -> Float32[Tensor, "b c h w"]:
    """Latents (not yet divided by the scaling factor), drawn from standard normal `noise`.

    Args:
        text: hidden states of every token and the pooled state of each prompt.
        empty: the same of the empty prompt, which stands for no prompt.
        steps: calls of the network.
        guidance_scale: 1 draws by the prompt alone; above, away from no prompt (Ho & Salimans, arXiv 2207.12598,
            equation 6, in the convention u + s (c - u)).
    """
    hidden, pooled = text
    guided = guidance_scale != 1
    if guided:
        hidden = torch.cat([hidden, empty[0].expand_as(hidden)])
        pooled = torch.cat([pooled, empty[1].expand_as(pooled)])
    scheduler.set_timesteps(steps)
    x = noise
    for t in scheduler.timesteps.tolist():
        stacked = torch.cat([x, x]) if guided else x
        v = unet(stacked, t, hidden, class_labels=pooled).sample.float()
        if guided:
            with_prompt, without = v.chunk(2)
            v = without + guidance_scale * (with_prompt - without)
        x = scheduler.step(v, t, x).prev_sample
    return x
