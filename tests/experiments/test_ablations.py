"""The ablations from training to table, on six pictures and with a UNet of a few thousand parameters."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep
from unittest.mock import MagicMock

import pandas as pd
import pytest
import torch
from tiny_trainings import write_data

from baselines.monster import unets
from experiments import ablations

PROMPTS = 12


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What makes the study a small one: the first words of its command."""
    monkeypatch.setenv("DRAWOFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(unets.UNETS, "small", unets.UNETS["small"] | {"block_out_channels": (8, 8)})
    monkeypatch.setattr(ablations, "BATCH", 4)
    monkeypatch.setattr(ablations, "PLAIN_SEEDS", (0, 1))
    data = write_data(tmp_path / "data")
    words = ["--data", str(data), "--competition", "bestiary", "--out", str(tmp_path / "out"), "--device", "cpu"]
    return [*words, "--images", "8", "--limit", str(PROMPTS)]


def test_the_table_from_one_command(small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ablations.shared.cache_clear()
    monkeypatched = ["--arms", "recipe", "ddpm-10", "--once"]
    assert ablations.main([*small, *monkeypatched]) == 0
    out = tmp_path / "out"
    table = pd.read_csv(out / "ablations.csv")
    assert list(zip(table["arm"], table["seed"], strict=True)) == [
        ("plain", 0), ("plain", 1), ("recipe", 0), ("ddpm-10", 0),
    ]  # fmt: skip
    assert (table["images"] == 8).all()
    assert (table["prompts"] == PROMPTS).all()
    assert (table["fid"] > 0).all()
    assert table["clip_t"].between(-1, 1).all()
    assert table["fid"].nunique() == 4  # each arm and seed drew something else
    assert capsys.readouterr().out.startswith((out / "ablations.md").read_text())
    asked = json.loads((out / "recipe-0" / "run" / "options.json").read_text())
    assert asked["objective"]["perceptual_from"] == 0.43
    assert asked["ema_from"] == 0.5
    assert not (out / "ddpm-10-0" / "run").exists()  # it shares the plain one's training

    kept = (out / "recipe-0" / "result.json").stat().st_mtime_ns
    assert ablations.main([*small, *monkeypatched]) == 0  # nothing is done again
    assert (out / "recipe-0" / "result.json").stat().st_mtime_ns == kept


def test_arms_that_share_a_training_do_not_train_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", sys.stderr)  # threads do not put it back in order, as the processes would
    running, most = [0], [0]

    def train_arm(_study: object, _arm: object, _seed: int, out: Path) -> Path:
        running[0] += 1
        most[0] = max(most[0], running[0])
        sleep(0.2)
        running[0] -= 1
        return out

    for name, stand_in in {"train_arm": train_arm, "draw_arm": MagicMock(), "score_arm": lambda *_: {}}.items():
        monkeypatch.setattr(ablations, name, stand_in)
    study = ablations.AblationOptions(
        data=tmp_path, competition="bestiary", out=tmp_path, images=8, device="cpu", limit=1
    )
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda name: ablations.run_arm(study, name, 0), ["plain", "ddpm-10", "ddpm-20", "unguided"]))
    assert most == [1]


def test_every_arm_changes_something_and_the_small_unet_is_small() -> None:
    settings = [(arm.objective, arm.ema, arm.optimizer, arm.sampler) for arm in ablations.ARMS.values()]
    assert len(set(settings)) == len(settings)
    for name, arm in ablations.ARMS.items():
        if arm.trained_as is not None:
            trained = ablations.ARMS[arm.trained_as]
            assert (arm.objective, arm.ema, arm.optimizer) == (trained.objective, trained.ema, trained.optimizer), name
    with torch.device("meta"):
        small, course = unets.build("small", 8, 16, 128), unets.build("maplestory", 4, 32, 512)
    assert sum(parameter.numel() for parameter in small.parameters()) <= 1_000_000
    assert sum(parameter.numel() for parameter in course.parameters()) == pytest.approx(225e6, rel=0.01)
