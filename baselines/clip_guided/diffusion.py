"""The pixel diffusion's process: the sigmoid schedule, and the steps to take of it."""

from __future__ import annotations

from baselines.diffusion.process import Diffusion
from baselines.diffusion.schedules import betas, respace

TRAIN_TIMESTEPS = 1000


def diffusion(steps: int | None = None) -> Diffusion:
    """The process of training, or of `steps` of its timesteps at equal distances. Raises UsageError for too many."""
    spacing = None if steps is None else respace(TRAIN_TIMESTEPS, str(steps))
    return Diffusion(betas("sigmoid", TRAIN_TIMESTEPS), spacing)
