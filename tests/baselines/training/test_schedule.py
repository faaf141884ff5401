"""Which examples a step sees, and how fast it learns from them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from baselines.training.schedule import ContrastiveSchedule, Schedule, indices


def test_each_epoch_shows_every_example_once() -> None:
    count, size, epochs = 21, 4, 8
    shown = torch.cat([indices(step, count, size, seed=0) for step in range(count * epochs // size)])
    by_epoch = shown.view(epochs, count)
    assert shown.dtype == torch.int64
    assert all(epoch.sort().values.equal(torch.arange(count)) for epoch in by_epoch)
    assert len({tuple(epoch.tolist()) for epoch in by_epoch}) == epochs


def test_the_examples_are_a_function_of_the_step() -> None:
    forwards = [indices(step, 21, 4, seed=1) for step in range(12)]
    backwards = [indices(step, 21, 4, seed=1) for step in reversed(range(12))]
    assert all(a.equal(b) for a, b in zip(forwards, reversed(backwards), strict=True))
    assert not torch.cat(forwards).equal(torch.cat([indices(step, 21, 4, seed=2) for step in range(12)]))
    # Two batches of 4 are a batch of 8: what accumulation and several processes rest on.
    assert torch.cat(forwards[6:8]).equal(indices(3, 21, 8, seed=1))


def test_a_batch_may_be_larger_than_the_set() -> None:
    batch = indices(0, 3, 8, seed=0)
    assert sorted(batch.tolist()) == sorted([*[0, 1, 2] * 2, *batch[6:].tolist()])
    assert len(batch) == 8


def test_the_rate_rises_and_falls_as_a_cosine() -> None:
    schedule = Schedule(images=1, learning_rate=2.0, warmup=0.2, final_rate=0.1)
    assert schedule.rate(0, 30) == 0.0
    assert schedule.rate(3, 30) == pytest.approx(1.0)
    assert schedule.rate(6, 30) == pytest.approx(2.0)
    assert schedule.rate(18, 30) == pytest.approx(2.0 * 1.1 / 2)
    assert schedule.rate(14, 30) == pytest.approx(2.0 * (0.1 + 0.9 * 0.75))
    assert schedule.rate(30, 30) == pytest.approx(0.2)
    assert replace(schedule, warmup=0.0).rate(0, 30) == 2.0


def test_the_contrastive_rate_is_a_cosine_times_a_warm_up() -> None:
    schedule = ContrastiveSchedule(images=1, learning_rate=2.0, warmup=0.5, final_rate=0.0)
    assert schedule.rate(0, 4) == pytest.approx(1.0)
    assert schedule.rate(1, 4) == pytest.approx(1 + 0.5**0.5)
    assert schedule.rate(2, 4) == pytest.approx(1.0)
    assert schedule.rate(4, 4) == 0.0
