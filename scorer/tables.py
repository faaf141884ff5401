"""The tables that all metrics are made of, a row an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from scorer.frechet import Moments


@dataclass(frozen=True)
class Tables:
    """What `metrics.evaluate` takes; complete in the first process, and empty in the others.

    Attributes:
        measured: of the submission, as `measure_images` returns them: `inception`, `clip`, `hashes`, and with
            references `psnr` and `ssim`.
        known: `text` (T, E) of the distinct prompts; with references `reference_inception` and `reference_clip`.
        statistics: mean and covariance for FID: the references', or precomputed ones.
        unpaired: whether `statistics` are precomputed, of images that are not the references of these prompts.
        moments: of `measured["inception"]` where the processes summed them up together, else None.
    """

    measured: dict[str, Tensor]
    known: dict[str, Tensor]
    statistics: tuple[np.ndarray, np.ndarray] | None = None
    moments: Moments | None = None
    unpaired: bool = False
