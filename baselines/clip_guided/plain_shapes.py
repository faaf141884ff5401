"""A sister world to train the first guide on: plain coloured shapes and what they are called.

It shares the names of colours with any world, but none of its pictures: that guide has never seen what it will guide.
"""

from __future__ import annotations

import math
import random
from typing import NamedTuple

import torch
from jaxtyping import Float32
from torch import Tensor

COLOURS = {
    "red": (220, 30, 40), "orange": (250, 140, 20), "yellow": (250, 225, 40), "green": (40, 160, 60),
    "teal": (20, 160, 160), "blue": (40, 80, 220), "purple": (130, 50, 190), "pink": (250, 130, 190),
    "brown": (130, 80, 40), "gray": (140, 140, 145), "black": (25, 25, 28), "white": (245, 245, 245),
}  # fmt: skip
SHAPES = (
    "circle", "square", "diamond", "triangle", "hexagon", "ring",
    "cross", "star", "heart", "oval", "crescent", "bar",
)  # fmt: skip
SHADES = {"dark": (0.0, 0.4), "pale": (255.0, 0.4)}  # mixed with black or white, by how much
KINDS = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)


WORDS = (*COLOURS, *SHAPES, *SHADES, "a", "an", "and", "background", "in", "on")


class Shapes(NamedTuple):
    """`images` in -1 … 1; `captions`: one of each."""

    images: Float32[Tensor, "n 3 s s"]
    captions: list[str]


def draw(kinds: list[str], size: int, rng: random.Random) -> Shapes:
    """A picture and a caption of each of `kinds` ("red circle"), everything else by `rng`."""
    colours, captions = [], []
    for kind in kinds:
        colour, shape = kind.split()
        two = rng.choice([name for name in COLOURS if name != colour]) if rng.random() < 0.4 else None
        ground = rng.choice([name for name in COLOURS if name not in (colour, two)]) if rng.random() < 0.3 else None
        shade = rng.choice(("", "", "dark", "pale"))
        main = _shaded(colour, shade, rng)
        second = _shaded(two, shade, rng) if two else main
        background = _shaded(ground, "", rng) if ground else (255.0, 255.0, 255.0)
        colours.append((background, main, second))
        captions.append(_caption(colour, two, shape, shade, ground, rng))
    numbers = torch.tensor([[rng.uniform(-1, 1) for _ in range(4)] for _ in kinds])
    radius, right, down, turn = numbers[..., None, None].unbind(1)  # each (n, 1, 1)
    unit, angle = size * (0.3 + 0.14 * radius), turn * 0.5
    axis = torch.arange(size) + 0.5 - size / 2
    x, y = axis - right * size * 0.15, axis[:, None] - down * size * 0.15
    x, y = (angle.cos() * x + angle.sin() * y) / unit, (angle.cos() * y - angle.sin() * x) / unit
    distances = _distances(x, y)
    distance = torch.stack([distances[kind.split()[1]][k] for k, kind in enumerate(kinds)])
    images, main_colours, second_colours = torch.tensor(colours)[..., None, None].unbind(1)  # each (n, 3, 1, 1)
    for painted, edge in ((main_colours, distance), (second_colours, distance + 0.28)):
        cover = (0.5 - edge * unit).clamp(0, 1)[:, None]
        images = images * (1 - cover) + painted * cover
    return Shapes(images / 127.5 - 1, captions)


def _shaded(colour: str, shade: str, rng: random.Random) -> tuple[float, float, float]:
    towards, fraction = SHADES.get(shade, (0.0, 0.0))
    mixed = (value * (1 - fraction) + towards * fraction + rng.uniform(-18, 18) for value in COLOURS[colour])
    return tuple(min(max(value, 0.0), 255.0) for value in mixed)  # type: ignore[return-value]


def _caption(colour: str, two: str | None, shape: str, shade: str, ground: str | None, rng: random.Random) -> str:
    name = f"{colour} and {two}" if two else colour
    if shade and rng.random() < 0.7:
        name = f"{shade} {name}"
    text = f"{shape} in {name}" if rng.random() < 0.25 else f"{name} {shape}"
    if rng.random() < 0.5:
        text = with_article(text)
    if ground and rng.random() < 0.6:
        text += f" on {with_article(ground)} background"
    return text[0].upper() + text[1:] + "." if rng.random() < 0.5 else text


def with_article(text: str) -> str:
    """A red bat, an orange one."""
    return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


def _distances(x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Of each shape, about the signed distance in its own unit, negative inside."""
    r, ax, ay = torch.hypot(x, y), x.abs(), y.abs()
    turn = torch.atan2(x, -y)
    root3 = math.sqrt(3)
    return {
        "circle": r - 1,
        "square": torch.maximum(ax, ay) - 0.85,
        "diamond": (ax + ay - 1.1) / math.sqrt(2),
        "triangle": torch.maximum(0.5 * (root3 * ax - y) - 0.5, y - 0.6),
        "hexagon": torch.maximum(ax * root3 / 2 + ay / 2, ay) - 0.88,
        "ring": (r - 0.75).abs() - 0.25,
        "cross": torch.minimum(torch.maximum(ax, ay * 3 - 2 * 0.05), torch.maximum(ay, ax * 3 - 2 * 0.05)) - 0.95,
        "star": r - (0.68 + 0.32 * torch.cos(5 * turn)),
        "heart": torch.minimum(
            torch.hypot(ax - 0.42, y + 0.3) - 0.5, torch.maximum((ax + y - 0.86) / math.sqrt(2), -0.25 - y)
        ),
        "oval": torch.hypot(x, 1.7 * y) - 1,
        "crescent": torch.maximum(r - 1, 0.8 - torch.hypot(x - 0.45, y)),
        "bar": torch.maximum(ax, 3 * ay) - 1,
    }
