"""The monster's noise schedule, and the solver on it."""

from __future__ import annotations

from diffusers import DPMSolverMultistepScheduler
from jaxtyping import Float32, Int64
from torch import Tensor

from baselines.diffusion.schedules import SCALED_LINEAR
from baselines.diffusion.solver import dpm_solver
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
