"""Classifier-free guidance: the formula, the order of the halves, what is guided and what it costs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from baselines.diffusion.guidance import classifier_free

X, T = torch.arange(6.0).reshape(2, 3, 1, 1), torch.tensor([7, 9])
PROMPT, EMPTY = torch.tensor([[1.0], [2.0]]), torch.tensor([[-1.0]])


class Network:
    """An output of three channels that tells what it was given: x, the timestep and the condition."""

    def __init__(self) -> None:
        self.calls: list[tuple[Tensor, ...]] = []

    def __call__(self, x: Tensor, timesteps: Tensor, *conditions: Tensor) -> Tensor:
        self.calls.append((x, timesteps, *conditions))
        return x + timesteps.view(-1, 1, 1, 1) + 100 * sum(c.view(len(x), -1, 1, 1)[:, :1] for c in conditions)


@pytest.mark.parametrize("scale", [0.0, 0.5, 3.0])
def test_the_formula(scale: float) -> None:
    network = Network()
    guided = classifier_free(network, [PROMPT], [EMPTY], scale)(X, T)
    with_prompt, without = network(X, T, PROMPT), network(X, T, EMPTY.expand(2, 1))
    torch.testing.assert_close(guided, without + scale * (with_prompt - without))


def test_the_prompts_half_comes_first_in_one_call() -> None:
    network = Network()
    classifier_free(network, [PROMPT, X], [EMPTY, X], 2.0)(X, T)
    ((x, timesteps, condition, image),) = network.calls
    assert torch.equal(x, torch.cat([X, X]))
    assert torch.equal(timesteps, torch.tensor([7, 9, 7, 9]))
    assert torch.equal(condition, torch.tensor([[1.0], [2.0], [-1.0], [-1.0]]))
    assert torch.equal(image, torch.cat([X, X]))


def test_a_scale_of_one_is_the_prompt_alone_at_half_the_cost() -> None:
    network = Network()
    assert torch.equal(classifier_free(network, [PROMPT], [EMPTY], 1)(X, T), Network()(X, T, PROMPT))
    assert [len(x) for x, *_ in network.calls] == [2]


def test_channels_that_are_not_guided_stay_the_prompts() -> None:
    guided = classifier_free(Network(), [PROMPT], [EMPTY], 3.0, channels=1)(X, T)
    assert torch.equal(guided[:, :1], classifier_free(Network(), [PROMPT], [EMPTY], 3.0)(X, T)[:, :1])
    assert torch.equal(guided[:, 1:], Network()(X, T, PROMPT)[:, 1:])
