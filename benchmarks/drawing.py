"""How fast the shipped generators draw and their networks train, by precision and by memory format, as ratios.

Each pair is measured interleaved in one run; every ratio is against float32 with the channels first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

import baselines
from baselines import hardware, registry
from submission import Competition

MODELS = ("monster", "stable", "vq", "glide", "glide-clip", "clip-guided")
FORMATS = {"first": torch.contiguous_format, "last": torch.channels_last}


def seconds(
    runs: dict[str, Callable[[], object]], repeats: int, of: Callable[[list[float]], float] = median
) -> dict[str, float]:
    """The median time of each run, or another number `of` its times, taken in turns after one that does not count."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, work in runs.items():
            start = time.perf_counter()
            work()
            if torch.cuda.is_initialized():
                for number in range(torch.cuda.device_count()):
                    torch.cuda.synchronize(number)
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: of(found) for name, found in times.items()}


def drawing(device: str, images: int, steps: int, repeats: int) -> dict[str, dict[str, float]]:
    """Seconds for `images` of each shipped model in `steps` steps, by precision and format."""
    competition = Competition.load("bestiary")
    prompts = [prompt.text for prompt in competition.prompts[:images]]
    results = {}
    for model in MODELS:
        runs: dict[str, Callable[[], object]] = {}
        for way, precision, layout in _ways(registry.MODELS[model].tolerates, device):
            with patch.object(hardware.Hardware, "memory_format", layout):
                generator = baselines.load(model, competition, device, precision=precision, steps=steps)
            runs[way] = partial(generator.generate, prompts, range(images))
        results[model] = _shown(model, seconds(runs, repeats))
    return results


def training(device: str, repeats: int) -> dict[str, dict[str, float]]:
    """Seconds for the forward and backward pass of each trained network, by precision and format."""
    results = {}
    for name, network, call in _networks():
        runs: dict[str, Callable[[], object]] = {}
        for way, precision, layout in _ways(hardware.PRECISIONS, device):
            where = hardware.Hardware(device, precision, "")
            copy = network().to(device).to(memory_format=layout).train()
            runs[way] = partial(_step, copy, where, call)
        results[name] = _shown(f"training {name}", seconds(runs, repeats))
    return results


def _ways(precisions: Sequence[str], device: str) -> list[tuple[str, str, torch.memory_format]]:
    """Each precision that pays on the device with each memory format, and what to call the two."""
    pays = [precision for precision in precisions if precision in ("float32", *hardware.native(device))]
    ways = product(pays, FORMATS.items())
    return [(f"{precision}, channels {name}", precision, layout) for precision, (name, layout) in ways]


def _step(network: nn.Module, where: hardware.Hardware, call: Callable[[nn.Module], Tensor]) -> None:
    with where.autocast():
        output = call(network)
    output.float().square().mean().backward()
    network.zero_grad(set_to_none=True)


def _networks() -> list[tuple[str, Callable[[], Any], Callable[[Any], Tensor]]]:
    from baselines.clip_guided import unet as pixels
    from baselines.glide.train_base import config
    from baselines.glide.unet import UNet
    from baselines.monster import train_autoencoder, unets
    from baselines.stable_diffusion import train as stable
    from baselines.vq_diffusion import train_vqmodel

    base, t = config(512), torch.full((32,), 500)
    latents, text, pooled = torch.randn(32, 8, 16, 16), torch.randn(32, 64, 96), torch.randn(32, 96)
    images, small = torch.randn(8, 3, 64, 64), torch.randn(32, 3, 32, 32)
    return [
        (
            "monster's UNet",
            lambda: unets.build("bestiary", 8, 16, 96),
            lambda net: net(latents, t, text, class_labels=pooled).sample,
        ),
        ("stable's UNet", lambda: stable.build(8, 16, 96), lambda net: net(latents, t, text).sample),
        ("autoencoder", train_autoencoder.build, lambda net: net(images).sample),
        ("vq's VQModel", train_vqmodel.build, lambda net: net(images).sample),
        ("clip-guided's UNet", lambda: pixels.PixelUNet(pixels.build(32)), lambda net: net(small, t)),
        ("glide's base", lambda: UNet(base), lambda net: net(small, t, net.encode_text(*_tokens(base.text_length)))),
    ]


def _tokens(text_length: int) -> tuple[Tensor, Tensor]:
    tokens = torch.zeros(32, text_length, dtype=torch.long)
    return tokens, torch.ones_like(tokens, dtype=torch.bool)


def _shown(what: str, times: dict[str, float]) -> dict[str, float]:
    plain = times["float32, channels first"]
    for name, value in times.items():
        print(f"  {what:<28} {name:<26} {value * 1000:8.0f} ms  {plain / value:5.2f}x", flush=True)
    return times
