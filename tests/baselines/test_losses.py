"""What the losses of several models share, against what it must be."""

from __future__ import annotations

import torch

from baselines.losses import stratified_timesteps


def test_one_timestep_of_each_slice() -> None:
    generator = torch.Generator().manual_seed(0)
    t = torch.stack([stratified_timesteps(8, 1000, generator) for _ in range(50)])
    assert (t.sort(dim=1).values // 125 == torch.arange(8)).all()
    assert (t[:, 0] // 125).unique().numel() > 4  # in random order
    assert stratified_timesteps(3, 1, generator).tolist() == [0, 0, 0]


def test_times_cover_the_schedule_evenly() -> None:
    t = stratified_timesteps(50, 1000, torch.Generator().manual_seed(3))
    assert sorted((t // 20).tolist()) == list(range(50))
