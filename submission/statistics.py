"""Precomputed feature statistics of the references: two `.npy` files, mean and covariance."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from submission.errors import CompetitionError

MAX_FEATURES = 8192


def read_statistics(mean_file: Path, covariance_file: Path) -> tuple[np.ndarray, np.ndarray]:
    """The mean (D,) and the covariance (D, D), both float64. Raises CompetitionError."""
    mean = _read(mean_file, ndim=1)
    covariance = _read(covariance_file, ndim=2)
    if covariance.shape != (len(mean), len(mean)):
        raise CompetitionError(
            f"{covariance_file}: has the shape {covariance.shape}; {mean_file.name} has {len(mean)} features"
        )
    # Float32 statistics are symmetric to about 1e-7 of their scale; a transposed or cut matrix is not.
    scale = np.abs(covariance).max()
    if np.abs(covariance - covariance.T).max() > 1e-5 * scale:
        raise CompetitionError(f"{covariance_file}: is not symmetric, so it is no covariance matrix")
    if np.diagonal(covariance).min() < -1e-6 * scale:
        raise CompetitionError(f"{covariance_file}: has negative variances on its diagonal")
    return mean, covariance


def _read(file: Path, ndim: int) -> np.ndarray:
    try:
        # Mapped, so that a header that claims terabytes fails on the file's length instead of filling the memory.
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise CompetitionError(f"{file}: is not a .npy file of plain numbers ({error})") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        raise CompetitionError(f"{file}: must hold one array of floating-point numbers")
    if array.ndim != ndim or not 1 <= array.shape[0] <= MAX_FEATURES:
        expected = "(features,)" if ndim == 1 else "(features, features)"
        raise CompetitionError(
            f"{file}: has the shape {array.shape}, expected {expected} with at most {MAX_FEATURES} features"
        )
    array = np.array(array, dtype=np.float64)
    if not np.isfinite(array).all():
        raise CompetitionError(f"{file}: has values that are not finite")
    return array
