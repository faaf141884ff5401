"""Muon: torch's own on matrices, torch's AdamW on vectors; kernels as matrices."""

from __future__ import annotations

import torch
from torch import nn

from baselines.training.muon import Muon, orthogonal


def steps(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
    return parameter.detach()


def test_matrices_move_as_by_torch() -> None:
    start = torch.randn(6, 10, generator=torch.Generator().manual_seed(0))
    ours, theirs = (nn.Parameter(start.clone()) for _ in range(2))
    found = steps(Muon([ours], lr=0.02, weight_decay=0.1), ours)
    expected = steps(torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"), theirs)
    torch.testing.assert_close(found, expected, atol=5e-4, rtol=0)  # torch orthogonalises in bfloat16
    assert (found - start).abs().mean() > 5e-3


def test_a_kernel_moves_as_the_matrix_that_it_is() -> None:
    start = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    kernel, matrix = nn.Parameter(start.clone()), nn.Parameter(start.flatten(1).clone())
    found, expected = steps(Muon([kernel]), kernel), steps(Muon([matrix]), matrix)
    torch.testing.assert_close(found.flatten(1), expected)


def test_vectors_move_as_by_adamw() -> None:
    start = torch.randn(7, generator=torch.Generator().manual_seed(0))
    ours, theirs = (nn.Parameter(start.clone()) for _ in range(2))
    torch.testing.assert_close(
        steps(Muon([ours], lr=0.01, weight_decay=0.1), ours),
        steps(torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1), theirs),
    )


def test_singular_values_become_nearly_one() -> None:
    for shape in ((5, 40), (40, 5)):
        matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
        values = torch.linalg.svdvals(orthogonal(matrices))
        assert values.min() > 0.6
        assert values.max() < 1.3
