"""What the benchmarks run on: pictures, a competition, and networks with random weights in the official file formats.

Speed does not depend on the values of weights, and neither does the agreement of two implementations.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from scorer.networks.inception_v3 import archive_names, empty_network

TOML = """[competition]
name = "bench"
prompts = "test.json"
references = "references"
image_size = {size}
[backbones]
inception = "{inception}"
clip = "{clip}"
clip_weights = "{clip_weights}"
"""


def write_competition(
    folder: Path, n: int, size: int, *, inception: str, clip: str, clip_weights: Path | str
) -> tuple[Path, Path]:
    """n prompts with references, and a submission: smooth pictures with some noise. Returns the folders of both."""
    competition, entry = folder / "competition", folder / "entry"
    (competition / "references").mkdir(parents=True)
    entry.mkdir()
    prompts = {}
    for i in range(n):
        name = f"{i:06}.png"
        text = f"A photo of {i % 97} small animals beside a {('red', 'green', 'blue')[i % 3]} house, number {i}"
        prompts[str(i)] = {"image_name": name, "text_prompt": text}
        for where, seed in ((competition / "references", i), (entry, i + 10_000_000)):
            Image.fromarray(picture(seed, size)).save(where / name, compress_level=1)
    (competition / "test.json").write_text(json.dumps(prompts))
    toml = TOML.format(size=size, inception=inception, clip=clip, clip_weights=clip_weights)
    (competition / "competition.toml").write_text(toml)
    return competition, entry


def picture(seed: int, size: int) -> np.ndarray:
    """(size, size, 3) uint8: smooth, with some noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize(
        (size, size), Image.Resampling.BICUBIC
    )
    return (np.asarray(coarse).astype(np.int16) + rng.integers(-6, 7, (size, size, 3))).clip(0, 255).astype(np.uint8)


def write_clip(path: Path, name: str) -> Path:
    """Random weights of the open_clip model `name` as safetensors."""
    import open_clip
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = open_clip.create_model(name)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path)
    return path


class _Convolution(nn.Module):
    """One convolution of NVIDIA's archive: its own names, and a batch norm without scale."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        k = convolution.out_channels
        self.stride, self.padding = convolution.stride, convolution.padding
        fan_in = convolution.weight[0].numel()
        self.weight = nn.Buffer(torch.randn(convolution.weight.shape) * (2 / fan_in) ** 0.5)
        self.beta = nn.Buffer(0.1 * torch.randn(k))
        self.mean = nn.Buffer(0.1 * torch.randn(k))
        self.var = nn.Buffer(0.5 + torch.rand(k))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.conv2d(x, self.weight, None, self.stride, self.padding)
        return functional.batch_norm(x, self.mean, self.var, None, self.beta, False, 0.0, 0.001).relu()


class _Layers(nn.Module):
    """The archive's `layers`: modules by its names, run in the order of torchvision's network."""

    network: nn.Module

    def __init__(self) -> None:
        super().__init__()
        network: Any = empty_network(fid=True).eval()
        network.fc = nn.Identity()
        for ours, theirs in archive_names().items():
            convolution = _Convolution(network.get_submodule(f"{theirs}.conv"))
            network.set_submodule(theirs, convolution)
            holder: nn.Module = self
            *path, last = ours.removeprefix("layers.").split(".")
            for part in path:
                if not hasattr(holder, part):
                    holder.add_module(part, nn.Module())
                holder = getattr(holder, part)
            holder.add_module(last, convolution)
        object.__setattr__(self, "network", network)  # runs it, but is no part of the archive

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.network(x)
        return features[:, :, None, None]


class _Archive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers, self.output = _Layers(), nn.Linear(2048, 1008)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.output(self.layers(x).flatten(1))
        return logits


def write_archive(folder: Path) -> Path:
    """A file with the name, the layout and the size of inception-2015-12-05.pt, and random weights."""
    torch.manual_seed(1)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "inception-2015-12-05.pt"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(_Archive().eval(), torch.zeros(1, 3, 299, 299), check_trace=False)
        torch.jit.save(traced, str(path))
    return path
