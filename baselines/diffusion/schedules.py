"""Schedules of noise, and their respacing to fewer steps. float64."""

from __future__ import annotations

import math
from itertools import accumulate, repeat

import numpy as np
from jaxtyping import Float64

from submission.errors import UsageError

# Stable Diffusion's (Rombach et al., arXiv 2112.10752), as the configs of diffusers' schedulers have it.
SCALED_LINEAR = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}


def betas(name: str, steps: int) -> Float64[np.ndarray, " steps"]:
    """The variances of the noise that each step adds.

    `linear` runs from 1e-4 to 0.02 at 1000 steps (Ho et al., arXiv 2006.11239, section 4), scaled for others;
    `squaredcos_cap_v2` is the cosine schedule with betas of at most 0.999 (Nichol & Dhariwal, arXiv 2102.09672,
    equation 17); `sigmoid` is that of Jabri et al., arXiv 2212.11972, appendix B, algorithm 1, from -3 to 3 with a tau
    of 1, the betas also at most 0.999.
    """
    if name == "linear":
        return np.linspace(0.1 / steps, 20 / steps, steps, dtype=np.float64)
    if name == "squaredcos_cap_v2":
        alphas_cumprod = [math.cos((step / steps + 0.008) / 1.008 * math.pi / 2) ** 2 for step in range(steps + 1)]
        pairs = zip(alphas_cumprod[1:], alphas_cumprod[:-1], strict=True)
        return np.array([min(1 - after / before, 0.999) for after, before in pairs])
    if name == "sigmoid":
        level = 1.0 / (1.0 + np.exp(-(-3.0 + np.linspace(0.0, 1.0, steps + 1) * 6.0)))
        left = (level[-1] - level) / (level[-1] - level[0])  # alphas_cumprod, from 1 to 0
        sigmoid: np.ndarray = np.clip(1.0 - left[1:] / left[:-1], 0.0, 0.999)
        return sigmoid
    raise ValueError(f"there is no schedule {name!r}")


def respace(train_timesteps: int, spacing: str) -> list[int]:
    """Which of the training timesteps sampling visits, ascending.

    Args:
        spacing: comma-separated counts, one for each of as many equal sections of the schedule (`100`; `10,10,3,2,2`
            looks more closely at the early, little noised part); `ddim50`, 50 steps at one whole-number stride (Song et
            al., arXiv 2010.02502, appendix D); or `fast27`, 27 steps that suit the upsampler.

    Raises:
        UsageError: more steps than a section has, no such stride, or none of these.
    """
    if spacing == "fast27":
        # The last step but two instead of the last: there the linear schedule is all but pure noise already.
        steps = respace(train_timesteps, "10,10,3,2,2")
        return [*steps[:-1], train_timesteps - 3]
    by_stride = spacing.startswith("ddim")
    try:
        counts = [int(count) for count in ([spacing.removeprefix("ddim")] if by_stride else spacing.split(","))]
    except ValueError:
        raise UsageError(f"{spacing!r} is no spacing of steps: it is like '100', '10,10,3,2,2' or 'ddim50'") from None
    if by_stride:
        (wanted,) = counts
        for stride in range(1, train_timesteps):
            if len(range(0, train_timesteps, stride)) == wanted:
                return list(range(0, train_timesteps, stride))
        raise UsageError(f"no whole-number stride makes {wanted} steps of {train_timesteps}")
    smallest, larger = divmod(train_timesteps, len(counts))
    start, steps = 0, []
    for index, count in enumerate(counts):
        size = smallest + (index < larger)
        if not 1 <= count <= size:
            raise UsageError(f"{count} steps do not fit into {size} of the {train_timesteps} that the model knows")
        distance = (size - 1) / max(count - 1, 1)
        steps += [start + round(offset) for offset in accumulate(repeat(distance, count - 1), initial=0.0)]
        start += size
    return steps
