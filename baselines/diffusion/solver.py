"""DPM-Solver++ from noise to latents, diffusers' own; apart from the samplers, which need no diffusers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffusers import DPMSolverMultistepScheduler, SchedulerMixin
from jaxtyping import Float32
from torch import Tensor

from baselines.diffusion.samplers import Denoiser


def dpm_solver(schedule: Mapping[str, Any], order: int = 2) -> DPMSolverMultistepScheduler:
    """DPM-Solver++(2M) (Lu et al., arXiv 2211.01095, algorithm 2) on a noise schedule as diffusers' configs have it.

    Of order 1 it is DDIM.
    """
    return DPMSolverMultistepScheduler.from_config(
        schedule, algorithm_type="dpmsolver++", solver_order=order, steps_offset=1
    )


def solve(
    scheduler: SchedulerMixin, denoiser: Denoiser, noise: Float32[Tensor, "b c h w"], steps: int
) -> Float32[Tensor, "b c h w"]:
    """x_0 from standard normal `noise` in `steps` calls of the denoiser.

    Args:
        scheduler: any of diffusers' that draw no noise themselves.
        denoiser: in float32, what the scheduler's `prediction_type` says.
    """
    scheduler.set_timesteps(steps, device=noise.device)
    x: Tensor = noise * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        output = denoiser(scheduler.scale_model_input(x, t), t.expand(len(x)))
        x = scheduler.step(output, t, x).prev_sample
    return x
