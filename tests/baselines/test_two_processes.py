"""Every training by two real processes with gloo: it ends, one of them writes, and two train what one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_trainings import MODELS, write_data

ROOT = Path(__file__).resolve().parents[2]
SUPPORT = ROOT / "tests" / "support"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of all runs, and what the processes printed."""
    folder = tmp_path_factory.mktemp("two")
    data = write_data(folder / "data")
    words = [sys.executable, str(SUPPORT / "two_processes.py"), str(data), str(folder / "runs")]
    path = os.pathsep.join([str(ROOT), str(SUPPORT)])
    result = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-6000:]
    return folder / "runs", result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_a_training_ends_in_a_whole_folder(done: tuple[Path, str], model: str) -> None:
    runs, _ = done
    files = list((runs / model / "model").rglob("*.safetensors"))
    assert files
    assert all(torch.isfinite(t.float()).all() for file in files for t in load_file(file).values())
    left = [path for path in (runs / model).rglob("*") if path.name.startswith("state") or path.suffix == ".part"]
    assert left == []


@pytest.mark.slow
def test_one_process_speaks_and_writes(done: tuple[Path, str]) -> None:
    lines = [line for line in done[1].splitlines() if line.strip()]
    # The decoder's training was done twice more, with the same words.
    assert len(lines) == len(set(lines)), done[1]


@pytest.mark.slow
def test_two_processes_train_what_one_does(done: tuple[Path, str]) -> None:
    one, two = (load_file(done[0] / name / "decoder" / "weights.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    torch.manual_seed(3)
    from baselines.monster import train_autoencoder

    untrained = train_autoencoder.build().state_dict()
    assert not all(torch.allclose(one[name], untrained[name], atol=1e-4) for name in one)
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.slow
def test_two_processes_train_a_unet_by_the_whole_recipe_as_one_does(done: tuple[Path, str]) -> None:
    one, two = (load_file(done[0] / name / "unet" / "weights.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    # Of the whole: where a gradient is all but 0, as a bias's before a norm, AdamW makes a step of its rounding.
    whole, other = (torch.cat([tensors[name].flatten() for name in sorted(one)]) for tensors in (one, two))
    assert (other - whole).norm() <= 2e-3 * whole.norm()
    rows = [json.loads((done[0] / name / "unet" / "stats.jsonl").read_text()) for name in ("one", "two")]
    assert rows[0]["grad_norm"] == pytest.approx(rows[1]["grad_norm"], rel=1e-4)
