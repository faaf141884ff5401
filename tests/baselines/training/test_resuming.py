"""The training loop against itself after every kind of interruption."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_runs import SCHEDULE, fit, linear, same, squared_error, stats
from torch import Tensor, nn

from submission.errors import UsageError


def dropout(seed: int = 0) -> nn.Module:
    """A model that draws from the global generator while it trains."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))


@pytest.mark.parametrize("accumulation", [1, 3])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.85])
@pytest.mark.parametrize("changes", [{}, {"optimizer": "muon", "ema_from": 0.7}])
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    tmp_path: Path, share: float, accumulation: int, changes: dict
) -> None:
    schedule = replace(SCHEDULE, accumulation=accumulation, **changes)
    whole = fit(tmp_path / "whole", schedule, dropout())
    assert fit(tmp_path / "run", schedule, dropout(), stop_at=share) == {}
    assert (tmp_path / "run" / "state").is_dir()
    # Another start and another random state: whatever is not in the run's folder would show.
    torch.rand(7)
    assert same(fit(tmp_path / "run", schedule, dropout(seed=9)), whole)
    assert not (tmp_path / "run" / "state").exists()


class Killed(BaseException):
    pass


def killed_at(image: int) -> Callable:
    calls = iter(range(1000))

    def loss(model: nn.Module, batch: Tensor, generator: torch.Generator, done: float) -> tuple[Tensor, dict]:
        if next(calls) * SCHEDULE.batch_size >= image:
            raise Killed
        return squared_error(model, batch, generator, done)

    return loss


def test_a_killed_run_goes_on_from_its_last_state(tmp_path: Path) -> None:
    whole = fit(tmp_path / "whole")
    often = replace(SCHEDULE, save_minutes=0.0)
    with pytest.raises(Killed):
        fit(tmp_path / "run", often, loss=killed_at(40))
    shown: list[float] = []

    def counting(model: nn.Module, batch: Tensor, generator: torch.Generator, done: float) -> tuple[Tensor, dict]:
        shown.append(done)
        return squared_error(model, batch, generator, done)

    assert same(fit(tmp_path / "run", often, linear(9), loss=counting), whole)
    assert shown[0] == 0.5
    assert [row["images"] for row in stats(tmp_path / "run")] == [80]


@pytest.mark.parametrize("moment", ["before the old state is put aside", "before the new one takes its place"])
def test_killed_while_it_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    whole = fit(tmp_path / "whole")
    often = replace(SCHEDULE, save_minutes=0.0)
    rename = Path.rename

    def killing(self: Path, target: Path) -> Path:
        at = self.name == "state" if moment.startswith("before the old") else Path(target).name == "state"
        if at and (tmp_path / "run" / "killable").exists():
            raise Killed
        if Path(target).name == "state":
            (tmp_path / "run" / "killable").touch()  # there is a first state now
        return rename(self, target)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Path, "rename", killing)
        fit(tmp_path / "run", often)
    begun: list[float] = []

    def counting(model: nn.Module, batch: Tensor, generator: torch.Generator, done: float) -> tuple[Tensor, dict]:
        begun.append(done)
        return squared_error(model, batch, generator, done)

    assert same(fit(tmp_path / "run", often, linear(9), loss=counting), whole)
    assert begun[0] == 0.05, "the state of the first step must have survived"


def test_a_resumed_log_has_each_image_once(tmp_path: Path) -> None:
    schedule = replace(SCHEDULE, images=1000, save_minutes=60)  # 250 steps, a row each hundred
    fit(tmp_path / "run", schedule, stop_at=0.3)
    with pytest.raises(Killed):
        fit(tmp_path / "run", schedule, loss=killed_at(600))
    assert [row["images"] for row in stats(tmp_path / "run")] == [700]
    with (tmp_path / "run" / "stats.jsonl").open("a") as log:
        log.write('{"images": 8')  # torn by the kill
    fit(tmp_path / "run", schedule)
    assert [row["images"] for row in stats(tmp_path / "run")] == [700, 1000]


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    weights = fit(tmp_path / "run")
    before = (tmp_path / "run" / "stats.jsonl").read_bytes()
    assert same(fit(tmp_path / "run", model=linear(9), loss=killed_at(0)), weights)
    assert (tmp_path / "run" / "stats.jsonl").read_bytes() == before


@pytest.mark.parametrize("finished", [False, True])
def test_a_folder_with_another_run_is_refused(tmp_path: Path, finished: bool) -> None:
    fit(tmp_path / "run", stop_at=1.0 if finished else 0.5, options={"width": 8})
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    for schedule, options in ((replace(SCHEDULE, seed=4), {"width": 8}), (SCHEDULE, {"width": 16}), (SCHEDULE, None)):
        with pytest.raises(UsageError, match="other options"):
            fit(tmp_path / "run", schedule, options=options)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_steps_of_another_size_are_refused(tmp_path: Path) -> None:
    fit(tmp_path / "run", stop_at=0.5)
    file = tmp_path / "run" / "state" / "progress.json"
    progress = json.loads(file.read_text())
    assert progress["images_per_step"] == 4
    file.write_text(json.dumps({**progress, "images_per_step": 8}))  # as two processes' would be
    with pytest.raises(UsageError, match="steps are of 8 images"):
        fit(tmp_path / "run")
    del progress["images_per_step"]  # an older run's state
    file.write_text(json.dumps(progress))
    assert same(fit(tmp_path / "run"), fit(tmp_path / "whole"))
