"""A tiny competition with real files, and networks with random weights in the official file formats."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import cleanfid.fid
import numpy as np
import open_clip
import pytest
import scipy
import torch
from PIL import Image
from torch import nn

TINY_CLIP = "drawoff-test-quickgelu"


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of each test's own."""
    monkeypatch.setenv("DRAWOFF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def any_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    """For clean-fid's FID, which asks sqrtm for an estimate of its error: SciPy 1.18 gives none."""
    if tuple(map(int, scipy.__version__.split(".")[:2])) >= (1, 18):
        sqrtm = scipy.linalg.sqrtm
        monkeypatch.setattr(cleanfid.fid, "linalg", SimpleNamespace(sqrtm=lambda matrix, disp: (sqrtm(matrix), None)))


@pytest.fixture
def draw() -> Callable[..., np.ndarray]:
    """draw(seed, (height, width)): a smooth picture with an edge and some noise, uint8."""

    def picture(seed: int, size: tuple[int, int]) -> np.ndarray:
        rng = np.random.default_rng(seed)
        height, width = size
        y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
        wave = np.sin(rng.uniform(2, 9, 3) * x[..., None] + rng.uniform(2, 9, 3) * y[..., None] + rng.uniform(0, 6, 3))
        disc = ((x - rng.uniform(0.3, 0.7)) ** 2 + (y - rng.uniform(0.3, 0.7)) ** 2 < 0.05)[..., None]
        value = np.where(disc, rng.uniform(0, 255, 3), 127 + 100 * wave) + rng.normal(0, 6, (height, width, 3))
        return value.clip(0, 255).astype(np.uint8)

    return picture


@pytest.fixture
def write_images() -> Callable[[Path, dict[str, np.ndarray]], Path]:
    """write_images(folder, {name: image}): PNG or JPEG files, by their names."""

    def write(folder: Path, images: dict[str, np.ndarray]) -> Path:
        folder.mkdir(parents=True)
        for name, image in images.items():
            Image.fromarray(image).save(folder / name, quality=95)
        return folder

    return write


@pytest.fixture
def make_competition(tmp_path: Path) -> Callable[..., Path]:
    """make_competition(names, inception=…, clip=…, …): a folder with competition.toml and test.json in it."""

    def make(
        names: Sequence[str],
        *,
        texts: Sequence[str] | None = None,
        inception: str = "torchvision",
        clip: str = TINY_CLIP,
        clip_weights: Path | str = "clip.safetensors",
        lines: Sequence[str] = ('references = "references"',),
        tiers: str = "",
    ) -> Path:
        root = tmp_path / "competition"
        root.mkdir(exist_ok=True)
        texts = texts or [f"a {'red' if i % 2 else 'blue'} monster, number {i}" for i in range(len(names))]
        prompts = {f"key{i}": {"image_name": name, "text_prompt": texts[i]} for i, name in enumerate(names)}
        (root / "test.json").write_text(json.dumps(prompts))
        table = ["[competition]", 'name = "tiny"', 'prompts = "test.json"', *lines]
        table += ["[backbones]", f'inception = "{inception}"', f'clip = "{clip}"', f'clip_weights = "{clip_weights}"']
        (root / "competition.toml").write_text("\n".join(table) + "\n" + tiers)
        return root

    return make


@pytest.fixture(scope="session")
def tiny_clip_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a small open_clip model, which open_clip then knows as TINY_CLIP, as safetensors."""
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("clip")
    config = {
        "embed_dim": 32,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "patch_size": 16, "head_width": 32},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    }
    (folder / f"{TINY_CLIP}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    torch.manual_seed(0)
    model = open_clip.create_model(TINY_CLIP)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "clip.safetensors")
    return folder / "clip.safetensors"


@pytest.fixture(scope="session")
def torchvision_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of torchvision's inception_v3, scaled so that signals neither die nor explode, as a .pth file."""
    from torchvision.models import inception_v3

    torch.manual_seed(1)
    network = inception_v3(weights=None, aux_logits=True, init_weights=False)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    path = tmp_path_factory.mktemp("torchvision") / "inception.pth"
    torch.save(network.state_dict(), path)
    return path


class Layers(nn.Module):
    """A stand-in for the layers of inception-2015-12-05.pt: (B, 3, 299, 299) -> (B, 2048, 1, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 7, stride=7)
        self.second = nn.Conv2d(16, 2048, 6, stride=6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.second(torch.relu(self.first(x)))).mean(dim=(2, 3), keepdim=True)


class CleanInception(nn.Module):
    """The interface of inception-2015-12-05.pt: `layers` and `output`."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = Layers()
        self.output = nn.Linear(2048, 1008)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.output(self.layers(image).flatten(1))


@pytest.fixture(scope="session")
def clean_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TorchScript archive with random weights under the official file name."""
    torch.manual_seed(2)
    path = tmp_path_factory.mktemp("clean") / "inception-2015-12-05.pt"
    # Traced, because scripting reads source files, which a test module's classes may not have.
    network = CleanInception().eval()
    torch.jit.save(torch.jit.trace(network, torch.zeros(1, 3, 299, 299)), str(path))
    return path
