"""The perceptual distance: torchmetrics' LPIPS on the same backbone, and what is said where a backbone is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
import torchmetrics
from tiny_trainings import write_data
from torchmetrics.functional.image.lpips import _LPIPS, ScalingLayer
from torchvision.models import vgg16

from baselines.training import perceptual, train_perceptual
from baselines.training.perceptual import Lpips, load_perceptual, perceptual_distance
from submission import MissingPart
from submission.errors import UsageError


def test_lpips_is_torchmetrics_on_the_same_backbone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    with torch.device("meta"):  # the half gigabyte of VGG's classifier, which LPIPS does not read, is not made
        shapes = vgg16(weights=None).features.state_dict()
        theirs = _LPIPS(net="vgg", pnet_rand=True, pretrained=False)
    layers = {name: torch.randn(table.shape) * (2 / table[0].numel()) ** 0.5 for name, table in shapes.items()}
    torch.save({f"features.{name}": table for name, table in layers.items()}, tmp_path / "vgg16.pth")
    linear = Path(torchmetrics.__file__).parent / "functional/image/lpips_models/vgg.pth"
    state = torch.load(linear, map_location="cpu", weights_only=True)
    state |= {f"lins.{name[3:]}": table for name, table in state.items()}
    for name in theirs.net.state_dict():
        state[f"net.{name}"] = layers[name.partition(".")[2]]  # the slices keep the layers' numbers
    theirs.load_state_dict(state, assign=True)
    theirs.scaling_layer = ScalingLayer()
    ours = load_perceptual("lpips", torch.device("cpu"), tmp_path / "vgg16.pth")
    assert isinstance(ours, Lpips)
    images = torch.rand(2, 2, 3, 32, 32) * 2 - 1
    expected = theirs(images[0], images[1]).flatten()
    torch.testing.assert_close(perceptual_distance(ours, images[0], images[1]), expected, rtol=1e-4, atol=1e-6)


def test_a_missing_backbone_is_said_and_never_replaced(tmp_path: Path) -> None:
    with pytest.raises(MissingPart, match="lpips") as caught:
        load_perceptual("lpips", torch.device("cpu"), tmp_path / "vgg16.pth")
    assert "https://download.pytorch.org/models/vgg16-397923af.pth" in str(caught.value)


def test_a_damaged_or_foreign_backbone_is_no_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "vgg16.pth"
    file.write_bytes(b"<html>404</html>")
    with pytest.raises(UsageError, match="is not a checkpoint"):
        load_perceptual("lpips", torch.device("cpu"), file)
    torch.save({"features.0.weight": torch.zeros(3)}, file)
    with pytest.raises(UsageError, match="not those of the network"):
        load_perceptual("lpips", torch.device("cpu"), file)
    shutil.copytree(perceptual.EMBEDDED, tmp_path / "network")
    monkeypatch.setattr(perceptual, "EMBEDDED", tmp_path / "network")
    (tmp_path / "network" / "model.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match="is not a checkpoint"):
        load_perceptual("embedded", torch.device("cpu"))


def test_the_training_makes_a_folder_that_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_perceptual, "RARE", 1)
    monkeypatch.setattr(train_perceptual, "WIDTHS", (4, 8))
    command = ["--data", write_data(tmp_path / "data"), "--out", tmp_path / "run", "--model", tmp_path / "network"]
    command += ["--images", 4, "--batch-size", 2, "--device", "cpu", "--precision", "float32"]
    assert train_perceptual.main([str(word) for word in command]) == 0
    monkeypatch.setattr(perceptual, "EMBEDDED", tmp_path / "network")
    network = load_perceptual("embedded", torch.device("cpu"))
    assert [tuple(found.shape) for found in network.features(torch.zeros(2, 3, 16, 16))] == [
        (2, 4, 16, 16),
        (2, 8, 8, 8),
    ]


def test_the_embedded_network_sees_what_changes_a_monster() -> None:
    """The more a picture is blurred or its colours exchanged, the farther it is; equal ones are 0 apart."""
    network = load_perceptual("embedded", torch.device("cpu"))
    picture = torch.ones(1, 3, 64, 64)
    picture[:, :, 16:48, 16:48] = torch.tensor([0.8, -0.8, -0.8]).view(1, 3, 1, 1)
    edge = torch.nn.functional.avg_pool2d(picture, 3, 1, 1, count_include_pad=False)
    blurred = torch.nn.functional.avg_pool2d(picture, 9, 1, 4, count_include_pad=False)
    other = picture.flip(1)
    distances = [float(perceptual_distance(network, x, picture)) for x in (picture, edge, blurred, other)]
    assert distances[0] == 0
    assert 0 < distances[1] < distances[2]
    assert distances[3] > distances[1]
