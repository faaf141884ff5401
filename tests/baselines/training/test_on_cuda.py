"""Two steps of every training on a pretended GPU, with a preview, up to a folder that draws; runs resumed there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pretended_cuda import pretended_cuda
from safetensors.torch import load_file
from tiny_trainings import MODELS, run, shorten, write_data
from torch import Tensor, nn

import baselines
from baselines.hardware import Hardware
from baselines.training.schedule import Schedule
from baselines.training.trainer import train
from submission import Competition

# Parts that each model's folder holds as weights.
PARTS = {"monster": 3, "stable": 3, "vq": 5, "glide": 4, "clip-guided": 5, "backbones": 2}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data") / "tiny")


@pytest.mark.parametrize("model", MODELS)
def test_a_training(
    model: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tiny_competition: Callable[..., Competition],
) -> None:
    shorten(monkeypatch.setattr, previews=True)
    with pretended_cuda(capability=(7, 5)) as cuda:  # without bfloat16, which a CPU computes slowly
        out = run(model, data, tmp_path / "runs", monkeypatch.setattr, device="cuda", precision="float32")
        assert cuda.memory.touched == {0}
    files = list(out.rglob("*.safetensors"))
    assert len(files) == PARTS[model]
    for file in files:
        assert all(torch.isfinite(tensor.float()).all() for tensor in load_file(file).values())
    previews = list((tmp_path / "runs").rglob("previews/*.png"))
    assert len(previews) == {"monster": 1, "stable": 1, "vq": 1, "glide": 2, "clip-guided": 1, "backbones": 0}[model]
    if model != "backbones":  # draws for nobody
        generator = baselines.load(model, tiny_competition(n=2), "cpu", weights=str(out), steps=2)
        images = generator.generate(["red slime", "blue bat"], [1, 2])
        side = 16 if model == "clip-guided" else 64
        assert (images.shape, images.dtype) == ((2, side, side, 3), np.uint8)


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler")
def test_runs_are_resumed_in_every_precision(tmp_path: Path) -> None:
    """One after the other in one process, as the stages of a model are; float16 with scaled gradients."""
    inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    schedule = Schedule(images=16, batch_size=4)
    with pretended_cuda():
        for precision in ("bfloat16", "float16", "float32"):
            weights = []
            for stops in ((1.0,), (0.5, 1.0)):
                out = tmp_path / f"{precision}-{len(stops)}"
                for stop_at in stops:
                    accelerator = Hardware("cuda", precision, "a test").accelerator()

                    def loss(
                        model: nn.Module, batch: Tensor, generator: torch.Generator, done: float
                    ) -> tuple[Tensor, dict[str, float]]:
                        x = inputs[batch].to("cuda")
                        y = model(x)
                        assert y.device == torch.device("cuda:0")
                        return (y - x.sum(1, keepdim=True)).square().mean(), {}

                    torch.manual_seed(0)
                    path = train(nn.Linear(3, 1), loss, 8, schedule, out, accelerator=accelerator, stop_at=stop_at)
                    assert path.exists() == (stop_at == 1.0)
                weights.append(load_file(path))
            assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0]), precision
