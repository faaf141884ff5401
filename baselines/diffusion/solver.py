"""DPM-Solver++ from noise to latents, diffusers' own; apart from the samplers, which need no diffusers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from diffusers import DPMSolverMultistepScheduler, SchedulerMixin
from jaxtyping import Float32
from torch import Tensor

from baselines.diffusion.guidance import classifier_free


def dpm_solver(schedule: Mapping[str, Any], order: int = 2) -> DPMSolverMultistepScheduler:
    """DPM-Solver++(2M) (Lu et al., arXiv 2211.01095, algorithm 2) on a noise schedule as diffusers' configs have it.

    Of order 1 it is DDIM.
    """
    return DPMSolverMultistepScheduler.from_config(
        schedule, algorithm_type="dpmsolver++", solver_order=order, steps_offset=1
    )


def sample(
    unet: Callable[..., Any],
    scheduler: SchedulerMixin,
    noise: Float32[Tensor, "b c h w"],
    text: Sequence[Tensor],
    empty: Sequence[Tensor],
    *,
    steps: int,
    guidance_scale: float,
) -> Float32[Tensor, "b c h w"]:
    """Latents (not yet divided by the scaling factor), drawn from standard normal `noise`.

    Args:
        unet: a `UNet2DConditionModel`, which is called in the precision of `text`.
        scheduler: any of diffusers' that draw no noise themselves, of what the network predicts.
        text: hidden states of each prompt's tokens, (b, l, d), and, where the network attends to it, their pooled
            state, (b, d).
        empty: the same of the empty prompt, (1, …), which stands for no prompt.
        steps: calls of the network.
        guidance_scale: 1 draws by the prompt alone.
    """

    def network(x: Tensor, t: Tensor, hidden: Tensor, *pooled: Tensor) -> Tensor:
        output: Tensor = unet(x.to(hidden.dtype), t, hidden, *pooled).sample
        return output.float()

    denoiser = classifier_free(network, text, empty, guidance_scale)
    scheduler.set_timesteps(steps, device=noise.device)
    x: Tensor = noise * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        output = denoiser(scheduler.scale_model_input(x, t), t.expand(len(x)))
        x = scheduler.step(output, t, x).prev_sample
    return x
