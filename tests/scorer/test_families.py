"""Families as intervals see them: what unequal ones are worth, held against matrices, and the groups of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scorer.families import Families

SIZES = {
    "equal": [3] * 12,
    "alone": [1] * 30,
    "ascending": list(range(1, 16)),
    "one large": [60] + [6] * 100,
    "two": [2, 5],
}


def of(sizes: list[int], seed: int | None = None) -> Families:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return Families(labels if seed is None else np.random.default_rng(seed).permutation(labels))


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_degrees_of_freedom_and_inflation_against_the_quadratic_form(sizes: list[int]) -> None:
    """e = (I − n 1ᵀ / N) D z for independent family means z: the sum of e² is zᵀ M z, and M is written out here."""
    n = np.array(sizes, dtype=float)
    residual = (np.eye(len(n)) - np.outer(n, np.ones(len(n))) / n.sum()) @ np.diag(n)
    matrix = residual.T @ residual
    families = of(sizes)
    assert families.degrees_of_freedom == pytest.approx(np.trace(matrix) ** 2 / np.trace(matrix @ matrix), rel=1e-9)
    assert families.inflation == pytest.approx(np.sqrt((n**2).sum() / np.trace(matrix)), rel=1e-9)


def test_equal_families_are_worth_their_number() -> None:
    families = of([7] * 20)
    assert families.degrees_of_freedom == pytest.approx(19)
    assert families.inflation == pytest.approx((20 / 19) ** 0.5)
    assert (families.count, len(families)) == (20, 140)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ([100], "the prompts are one family, and it takes 10 or more"),
        ([50, 50], "the prompts are 2 families"),
        ([200] * 5, "the prompts are 5 families"),
        ([1] * 9, "the prompts are 9 families"),
        ([100] + [6] * 30, "one of the 31 families of prompts has 36% of the images"),
        ([1] * 10, None),
        ([20] * 10, None),
        ([60] + [6] * 100, None),
    ],
)
def test_too_few_families_say_so(sizes: list[int], said: str | None) -> None:
    reason = of(sizes).why_too_few
    assert (reason is None) == (said is None)
    assert said is None or reason.startswith(f"no interval: {said}")


def test_labels_may_be_any_numbers() -> None:
    families = Families([7, 7, -3, 900, -3])
    assert families.count == 3
    assert families.labels.tolist() == [1, 1, 0, 2, 0]
    assert families.sizes.tolist() == [2, 2, 1]


@pytest.mark.parametrize("n", [20, 43, 1063])
def test_groups_of_single_images_are_balanced_disjoint_and_shuffled(n: int) -> None:
    groups = Families(range(n)).groups()
    assert {len(group) for group in groups} <= {n // 20, n // 20 + 1}
    assert torch.equal(torch.cat(groups).sort().values, torch.arange(n))
    if n > 100:
        # Neighbours are in the same group as often as chance puts them there: 1 in 20.
        label = torch.empty(n, dtype=torch.int64)
        for number, group in enumerate(groups):
            label[group] = number
        assert int((label[1:] == label[:-1]).sum()) < n / 20 * 1.6


@pytest.mark.parametrize("seed", range(3))
def test_groups_are_of_whole_families_and_balanced(seed: int) -> None:
    sizes = np.random.default_rng(seed).integers(3, 20, 166).tolist()
    families = of(sizes, seed)
    groups = families.groups()
    assert len(groups) == 20
    assert torch.equal(torch.cat(groups).sort().values, torch.arange(len(families)))
    of_group = [set(families.labels[group].tolist()) for group in groups]
    assert sum(len(found) for found in of_group) == 166
    counts = [len(group) for group in groups]
    assert max(counts) - min(counts) <= 3
    assert all(torch.equal(a, b) for a, b in zip(groups, of(sizes, seed).groups(), strict=True))


def test_fewer_families_than_groups_are_a_group_each() -> None:
    groups = of([5, 1, 3] * 4).groups()
    assert sorted(len(group) for group in groups) == sorted([5, 1, 3] * 4)
