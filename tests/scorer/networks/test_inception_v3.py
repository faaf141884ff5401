"""NVIDIA's archive and pytorch-fid's checkpoint, as the official files are laid out, random, against clean-fid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cleanfid import inception_pytorch
from cleanfid.features import InceptionV3W
from cleanfid.fid import get_folder_features
from torch import nn
from torch.nn import functional

from scorer.networks.inception import find_inception, load_inception
from scorer.networks.inception_v3 import empty_network
from scorer.networks.protocols import PROTOCOLS
from submission import MissingPart
from submission.hashes import file_sha256

CPU = torch.device("cpu")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


class Conv(nn.Module):
    """A convolution with a batch norm that has no scale, as the archive names its parts."""

    def __init__(self, c: int, k: int, size: int | tuple[int, int], stride: int = 1, pad: int | tuple = 0) -> None:
        super().__init__()
        size = (size, size) if isinstance(size, int) else size
        self.stride, self.pad = stride, pad
        weight = torch.randn(k, c, *size) * (2 / (c * size[0] * size[1])) ** 0.5
        for name, value in {
            "weight": weight,
            "beta": 0.1 * torch.randn(k),
            "mean": 0.1 * torch.randn(k),
            "var": 0.5 + torch.rand(k),
        }.items():
            self.register_buffer(name, value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.conv2d(x, self.weight, None, self.stride, self.pad)
        return functional.batch_norm(x, self.mean, self.var, None, self.beta, False, 0.0, 0.001).relu()


class Concatenated(nn.Module):
    """Named branches side by side."""

    def __init__(self, **branches: nn.Module) -> None:
        super().__init__()
        for name, branch in branches.items():
            self.add_module(name, branch)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.children()], dim=1)


class Last(nn.Module):
    """The two blocks whose branches fork: Inception E, whose last one pools by the maximum."""

    def __init__(self, c: int, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool
        self.conv, self.tower_conv = Conv(c, 320, 1), Conv(c, 384, 1)
        self.tower_mixed_conv = Conv(384, 384, (1, 3), pad=(0, 1))
        self.tower_mixed_conv_1 = Conv(384, 384, (3, 1), pad=(1, 0))
        self.tower_1_conv, self.tower_1_conv_1 = Conv(c, 448, 1), Conv(448, 384, 3, pad=1)
        self.tower_1_mixed_conv = Conv(384, 384, (1, 3), pad=(0, 1))
        self.tower_1_mixed_conv_1 = Conv(384, 384, (3, 1), pad=(1, 0))
        self.tower_2_conv = Conv(c, 192, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = self.tower_conv(x), self.tower_1_conv_1(self.tower_1_conv(x))
        forks = [self.tower_mixed_conv(a), self.tower_mixed_conv_1(a)]
        forks += [self.tower_1_mixed_conv(b), self.tower_1_mixed_conv_1(b)]
        return torch.cat([self.conv(x), *forks, self.tower_2_conv(self.pool(x))], dim=1)


def tower(*convs: Conv, pool: nn.Module | None = None) -> nn.Sequential:
    result = nn.Sequential()
    if pool is not None:
        result.add_module("pool", pool)
    for i, conv in enumerate(convs):
        result.add_module("conv" if i == 0 else f"conv_{i}", conv)
    return result


def average() -> nn.Module:
    return nn.AvgPool2d(3, 1, 1, count_include_pad=False)


def layers() -> nn.Sequential:
    def a(c: int, k: int) -> nn.Module:
        return Concatenated(
            conv=Conv(c, 64, 1),
            tower=tower(Conv(c, 48, 1), Conv(48, 64, 5, pad=2)),
            tower_1=tower(Conv(c, 64, 1), Conv(64, 96, 3, pad=1), Conv(96, 96, 3, pad=1)),
            tower_2=tower(Conv(c, k, 1), pool=average()),
        )

    def c7(k: int) -> nn.Module:
        row, column = {"size": (1, 7), "pad": (0, 3)}, {"size": (7, 1), "pad": (3, 0)}
        return Concatenated(
            conv=Conv(768, 192, 1),
            tower=tower(Conv(768, k, 1), Conv(k, k, **row), Conv(k, 192, **column)),
            tower_1=tower(
                Conv(768, k, 1), Conv(k, k, **column), Conv(k, k, **row), Conv(k, k, **column), Conv(k, 192, **row)
            ),
            tower_2=tower(Conv(768, 192, 1), pool=average()),
        )

    result = nn.Sequential()
    for name, part in {
        "conv": Conv(3, 32, 3, 2),
        "conv_1": Conv(32, 32, 3),
        "conv_2": Conv(32, 64, 3, pad=1),
        "pool0": nn.MaxPool2d(3, 2),
        "conv_3": Conv(64, 80, 1),
        "conv_4": Conv(80, 192, 3),
        "pool1": nn.MaxPool2d(3, 2),
        "mixed": a(192, 32),
        "mixed_1": a(256, 64),
        "mixed_2": a(288, 64),
        "mixed_3": Concatenated(
            conv=Conv(288, 384, 3, 2),
            tower=tower(Conv(288, 64, 1), Conv(64, 96, 3, pad=1), Conv(96, 96, 3, 2)),
            pool=nn.MaxPool2d(3, 2),
        ),
        "mixed_4": c7(128),
        "mixed_5": c7(160),
        "mixed_6": c7(160),
        "mixed_7": c7(192),
        "mixed_8": Concatenated(
            tower=tower(Conv(768, 192, 1), Conv(192, 320, 3, 2)),
            tower_1=tower(
                Conv(768, 192, 1), Conv(192, 192, (1, 7), pad=(0, 3)), Conv(192, 192, (7, 1), pad=(3, 0)),
                Conv(192, 192, 3, 2),
            ),
            pool=nn.MaxPool2d(3, 2),
        ),
        "mixed_9": Last(1280, average()),
        "mixed_10": Last(2048, nn.MaxPool2d(3, 1, 1)),
        "pool2": nn.AvgPool2d(8),
    }.items():  # fmt: skip
        result.add_module(name, part)
    return result


class Archive(nn.Module):
    """The archive's face: pixels in 0…255 of any size, resized inside as TensorFlow 1 does it."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers
        self.output = nn.Linear(2048, 1008)

    def forward(self, img: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        b, c, h, w = img.shape
        theta = torch.eye(2, 3)
        theta[0, 2] += theta[0, 0] / w - theta[0, 0] / 299
        theta[1, 2] += theta[1, 1] / h - theta[1, 1] / 299
        grid = torch.affine_grid_generator(theta.unsqueeze(0).repeat([b, 1, 1]), [b, c, 299, 299], False)
        x = torch.grid_sampler(img.float(), grid, 0, 1, False)  # bilinear, border
        features = self.layers((x - 128) / 128).reshape(-1, 2048)
        return features if return_features else self.output(features)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full-size archive under the official name."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("archive") / "inception-2015-12-05.pt"
    traced = torch.jit.trace(layers().eval(), torch.zeros(1, 3, 299, 299), check_trace=False)
    torch.jit.script(Archive(traced)).eval().save(str(path))
    return path


@pytest.fixture
def pictures(draw: Callable) -> dict[str, np.ndarray]:
    return {f"{i}.png": draw(i, size) for i, size in enumerate([(64, 64), (97, 320)])}


def as_batch(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["clean", "legacy_tensorflow"])
@torch.inference_mode()
def test_the_rebuilt_archive_against_clean_fid(
    mode: str, archive: Path, pictures: dict[str, np.ndarray], write_images: Callable, tmp_path: Path
) -> None:
    network = InceptionV3W(str(archive.parent), download=False, resize_inside=mode == "legacy_tensorflow")
    folder = write_images(tmp_path / "images", pictures)
    expected = get_folder_features(
        str(folder), network, num_workers=0, batch_size=1, device=CPU, mode=mode, verbose=False
    )
    ours = load_inception(mode, CPU, archive)
    assert "as it is" not in ours.note  # rebuilt, its code never ran
    assert "not the official file" in ours.note
    features = torch.cat([ours.features(as_batch(image)) for image in pictures.values()])
    assert np.abs(features.numpy() - expected).max() <= 2e-5 * np.abs(expected).max()
    together = ours.features(torch.cat([as_batch(pictures["0.png"])] * 3))
    assert (together - features[0]).abs().max() <= 1e-5 * features.abs().max()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # clean-fid builds torchvision's network with an old argument
@torch.inference_mode()
def test_legacy_pytorch_against_clean_fid(
    pictures: dict[str, np.ndarray], write_images: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(4)
    network = empty_network(fid=True)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
    path = tmp_path / "pt_inception-2015-12-05-6726825d.pth"
    torch.save(network.state_dict(), path)
    monkeypatch.setattr(
        inception_pytorch, "load_state_dict_from_url", lambda *_, **__: torch.load(path, weights_only=True)
    )
    reference = inception_pytorch.InceptionV3(output_blocks=[3], resize_input=False).eval()
    folder = write_images(tmp_path / "images", pictures)
    expected = get_folder_features(
        str(folder), lambda x: reference(x / 255)[0].flatten(1), num_workers=0, batch_size=1, device=CPU,
        mode="legacy_pytorch", verbose=False,
    )  # fmt: skip
    ours = load_inception("legacy_pytorch", CPU, path)
    features = torch.cat([ours.features(as_batch(image)) for image in pictures.values()])
    assert np.abs(features.numpy() - expected).max() <= 2e-5 * np.abs(expected).max()
    logits = features.double() @ network.fc.weight.double().T
    torch.testing.assert_close(ours.log_probabilities(features), logits.log_softmax(dim=1), rtol=0, atol=1e-9)


def test_an_archive_of_another_layout_runs_only_when_trusted_and_says_so(
    clean_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingPart, match="--trust-weights"):
        load_inception("clean", CPU, clean_weights)
    ran = load_inception("clean", CPU, clean_weights, trusted=True)
    assert "as it is" in ran.note
    own = file_sha256(clean_weights)
    assert own[:12] in ran.note
    # The code may be another network than the numbers alone are: another fingerprint, other statistics.
    assert find_inception("clean", clean_weights).sha256 == own
    assert ran.sha256 == find_inception("clean", clean_weights, trusted=True).sha256 != own
    monkeypatch.setitem(PROTOCOLS, "clean", replace(PROTOCOLS["clean"], sha256=own))  # the official file's runs anyway
    assert find_inception("clean", clean_weights, trusted=True).sha256 == own
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), str(tmp_path / "other.pt"))
    for trusted in (False, True):
        with pytest.raises(MissingPart, match="Inception"):
            load_inception("clean", CPU, tmp_path / "other.pt", trusted=trusted)
