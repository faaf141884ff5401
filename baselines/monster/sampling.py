"""The monster's way from noise to latents: a velocity or the noise, guided by the prompt, and DPM-Solver++."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffusers import DPMSolverMultistepScheduler, SchedulerMixin
from jaxtyping import Float32, Int64
from torch import Tensor

from baselines.diffusion.guidance import classifier_free
from baselines.diffusion.schedules import SCALED_LINEAR
from baselines.diffusion.solver import dpm_solver, solve
from baselines.training.denoising import Prediction

# With v-prediction (Salimans & Ho, arXiv 2202.00512, section 4).
NOISE_SCHEDULE = SCALED_LINEAR | {"prediction_type": "v_prediction"}


def solver(order: int = 2, prediction: Prediction = "v_prediction") -> DPMSolverMultistepScheduler:
    """DPM-Solver++(2M) on the schedule that the monster is trained on; of order 1 DDIM, as a student draws."""
    return dpm_solver(NOISE_SCHEDULE | {"prediction_type": prediction}, order)


def timesteps(steps: int) -> Int64[Tensor, " steps"]:
    """At which the network is called when it draws in so many steps, falling."""
    scheduler = solver()
    scheduler.set_timesteps(steps)
    visited: Tensor = scheduler.timesteps
    return visited


def alphas_cumprod() -> Float32[Tensor, " t"]:
    """The signal's fraction of the variance at each timestep of the training."""
    fractions: Tensor = solver().alphas_cumprod
    return fractions


def sample(
    unet: Callable[..., Any],
    scheduler: SchedulerMixin,
    noise: Float32[Tensor, "b c h w"],
    text: tuple[Float32[Tensor, "b l d"], Float32[Tensor, "b d"]],
    empty: tuple[Float32[Tensor, "1 l d"], Float32[Tensor, "1 d"]],
    *,
    steps: int,
    guidance_scale: float,
) -> Float32[Tensor, "b c h w"]:
    """Latents (not yet divided by the scaling factor), drawn from standard normal `noise`.

    Args:
        unet: a `UNet2DConditionModel`.
        scheduler: of the schedule and the prediction that the network is trained with.
        text: hidden states of every token and the pooled state of each prompt.
        empty: the same of the empty prompt, which stands for no prompt.
        steps: calls of the network.
        guidance_scale: 1 draws by the prompt alone.
    """

    def predicted(x: Tensor, t: Tensor, hidden: Tensor, pooled: Tensor) -> Tensor:
        output: Tensor = unet(x, t, hidden, class_labels=pooled).sample
        return output.float()

    return solve(scheduler, classifier_free(predicted, text, empty, guidance_scale), noise, steps)
