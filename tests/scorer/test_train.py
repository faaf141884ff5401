"""The backbones' training loop: killed and started again, it ends with the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState, GradientState
from torch import Tensor, nn

from scorer import train


@pytest.fixture(autouse=True)
def _own_state() -> Iterator[None]:
    """accelerate keeps device and precision in the interpreter."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


class Killed(BaseException):
    pass


def fit(out: Path, begin: int, kill_at: int | None = None) -> dict[str, Tensor]:
    torch.manual_seed(begin)
    model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    calls = count()

    def loss(model: nn.Module, batch: Tensor, generator: torch.Generator, device: torch.device) -> tuple[Tensor, dict]:
        if next(calls) == kill_at:
            raise Killed
        return (model(x[batch].to(device)) - x[batch].to(device).sum(1, keepdim=True)).square().mean(), {}

    out.mkdir(exist_ok=True)
    fitted = train.fit(model, loss, len(x), images=80, batch_size=4, rate=0.01, seed=1, out=out)
    return {name: tensor.detach().cpu() for name, tensor in fitted.state_dict().items()}


@pytest.mark.parametrize("kill_at", [3, 17])
def test_a_killed_training_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill_at: int
) -> None:
    whole = fit(tmp_path / "whole", 0)
    minutes = count(step=200)
    monkeypatch.setattr(train.time, "monotonic", lambda: next(minutes))  # a state after every step
    with pytest.raises(Killed):
        fit(tmp_path / "run", 0, kill_at)
    monkeypatch.undo()
    resumed = fit(tmp_path / "run", 9)
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
