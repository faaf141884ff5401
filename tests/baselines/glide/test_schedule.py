"""Schedules, respacing and the tables of the diffusion process against OpenAI's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from baselines.diffusion.process import Diffusion
from baselines.diffusion.schedules import betas, respace
from submission.errors import UsageError


def test_every_table_is_the_references(golden: Callable) -> None:
    tables = golden("schedules")
    assert len(tables) > 80
    for key, theirs in tables.items():
        first, second, last = key.split(".")
        if first == "betas":
            ours = betas(second, int(last))
        elif first == "space":
            ours = np.array(respace(int(second), last))
        else:
            spaced = None if second == "full" else respace(1000, second)
            ours = getattr(Diffusion(betas(first, 1000), spaced), last)
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-12, atol=0, err_msg=key)
        assert ours.dtype == theirs.numpy().dtype, key


@pytest.mark.parametrize("spacing", ["1001", "400,400,400", "ddim600", "0", "four", "", "ddimx", "ddim10,3", "10,,2"])
def test_steps_that_do_not_fit_are_refused(spacing: str) -> None:
    with pytest.raises(UsageError):
        respace(1000, spacing)


def test_a_single_step_has_finite_tables() -> None:
    diffusion = Diffusion(betas("linear", 1000), [999])
    assert np.isfinite(diffusion.posterior_log_variance_clipped).all()


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match="quadratic"):
        betas("quadratic", 10)
