"""Devices, and noise that belongs to one image alone."""

from __future__ import annotations

import pytest
import torch

from baselines.device import randn, resolve_device, seeded_generators
from submission import MissingPart
from submission.errors import UsageError

SEEDS = [0, 7, 2**64 - 1]


def test_auto_takes_cuda_where_there_is_one(monkeypatch) -> None:
    for there, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert resolve_device("auto") == expected
        assert resolve_device("cpu") == "cpu"


def test_cuda_that_is_not_there_is_a_missing_part(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MissingPart, match="--device cpu"):
        resolve_device("cuda")
    with pytest.raises(UsageError, match="auto, cpu, cuda"):
        resolve_device("gpu")


def test_an_images_noise_is_its_own() -> None:
    together = seeded_generators(SEEDS)
    steps = [randn(together, (4, 8, 8), "cpu") for _ in range(3)]
    for index, seed in enumerate(SEEDS):
        alone = torch.Generator().manual_seed(seed)
        for step in steps:
            assert torch.equal(step[index], torch.randn(4, 8, 8, generator=alone))
    assert not torch.equal(steps[0], steps[1])


def test_every_precision_starts_from_the_same_numbers() -> None:
    whole = randn(seeded_generators(SEEDS), (16,), "cpu")
    half = randn(seeded_generators(SEEDS), (16,), "cpu", torch.bfloat16)
    assert torch.equal(half, whole.bfloat16())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_starts_from_the_same_noise() -> None:
    assert torch.equal(
        randn(seeded_generators(SEEDS), (64,), "cuda").cpu(), randn(seeded_generators(SEEDS), (64,), "cpu")
    )
