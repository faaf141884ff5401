"""Two steps of every training on a pretended GPU, with a preview, up to the finished folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pretended_cuda import pretended_cuda
from safetensors.torch import load_file
from tiny_trainings import MODELS, run, shorten, write_data

# Parts that each model's folder holds as weights.
PARTS = {"monster": 3, "stable": 3, "vq": 4, "glide": 4, "clip-guided": 4, "backbones": 2}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data") / "tiny")


@pytest.mark.parametrize("model", MODELS)
def test_a_training(model: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch.setattr, previews=True)
    hardware = () if model == "backbones" else ("--device", "cuda", "--precision", "float32")
    with pretended_cuda(capability=(7, 5)) as cuda:  # without bfloat16, which a CPU computes slowly
        out = run(model, data, tmp_path / "runs", monkeypatch.setattr, *hardware)
        assert cuda.memory.touched == {0}
    files = list(out.rglob("*.safetensors"))
    assert len(files) == PARTS[model]
    for file in files:
        assert all(torch.isfinite(tensor).all() for tensor in load_file(file).values() if tensor.is_floating_point())
    previews = list((tmp_path / "runs").rglob("previews/*.png"))
    assert len(previews) == {"monster": 1, "stable": 1, "vq": 1, "glide": 2, "clip-guided": 1, "backbones": 0}[model]
