"""What a hand holds. An item is drawn in its own frame: the grip at the origin, pointing up (towards -y)."""

from __future__ import annotations

import math

import numpy as np

from competitions.bestiary.artist.shapes import Colour, Frame, mix
from competitions.bestiary.artist.sketch import WHITE, Layer, Sketch

WOOD: Colour = (150, 96, 52)
STEEL: Colour = (190, 202, 216)


def trident(s: Sketch, f: Frame) -> None:
    s.add(Layer.HELD, f.capsule(0, 0.5, 0, -0.5, 0.05), WOOD)
    tines = np.minimum(f.arc(0, -0.66, 0.2, 0, math.pi, 0.05), f.capsule(0, -0.46, 0, -0.96, 0.05, 0.03))
    for x in (-0.2, 0.2):
        tines = np.minimum(tines, f.capsule(x, -0.66, x, -0.9, 0.05, 0.03))
    s.add(Layer.HELD + 0.1, tines, (226, 190, 70))


def axe(s: Sketch, f: Frame) -> None:
    s.add(Layer.HELD, f.capsule(0, 0.46, 0, -0.72, 0.055), WOOD)
    blade = np.maximum(np.maximum(f.circle(0.02, -0.52, 0.38), -f.circle(-0.3, -0.52, 0.36)), -(f.x - 0.0))
    s.add(Layer.HELD + 0.1, blade, STEEL)
    s.add(Layer.HELD + 0.1, f.box(-0.06, -0.52, 0.08, 0.1, 0.02), STEEL)


def sword(s: Sketch, f: Frame) -> None:
    s.add(Layer.HELD, f.capsule(0, 0.24, 0, 0, 0.055), WOOD)
    blade = f.polygon((-0.09, -0.12), (-0.09, -0.78), (0, -0.98), (0.09, -0.78), (0.09, -0.12), r=0.01)
    s.add(Layer.HELD + 0.1, blade, STEEL)
    s.add(Layer.HELD + 0.2, f.capsule(-0.22, -0.12, 0.22, -0.12, 0.055), (226, 178, 60))


def staff(s: Sketch, f: Frame) -> None:
    s.add(Layer.HELD, f.capsule(0, 0.56, 0, -0.56, 0.055), WOOD)
    s.add(Layer.HELD + 0.1, f.arc(0, -0.74, 0.2, math.pi * 0.1, math.pi * 1.3, 0.045), WOOD)
    s.add(Layer.HELD + 0.2, f.circle(0, -0.74, 0.16), (90, 226, 236))


def shield(s: Sketch, f: Frame) -> None:
    s.add(Layer.HELD + 1.1, f.circle(0.06, -0.06, 0.4), WOOD)
    s.add(Layer.HELD + 1.2, f.circle(0.06, -0.06, 0.29), STEEL)
    s.add(Layer.HELD + 1.3, f.circle(0.06, -0.06, 0.1), (226, 178, 60))


def torch(s: Sketch, f: Frame) -> None:
    s.add(Layer.HELD, f.capsule(0, 0.4, 0, -0.36, 0.05, 0.09), WOOD)
    fire = np.minimum(f.circle(0, -0.56, 0.2), f.capsule(0, -0.6, 0.03, -0.98, 0.17, 0.02))
    s.add(Layer.HELD + 0.1, fire, (246, 120, 30))
    core = np.minimum(f.circle(0, -0.53, 0.1), f.capsule(0, -0.56, 0.01, -0.74, 0.08, 0.01))
    s.mark(Layer.HELD + 0.2, core, (255, 232, 110))


DRAWN = {"trident": trident, "axe": axe, "sword": sword, "staff": staff, "shield": shield, "torch": torch}


def hold(s: Sketch, item: str, hand: tuple[float, float], angle: float) -> None:
    """The item in a round hand at `hand` (body frame), turned by `angle` from upright."""
    if item != "none":
        DRAWN[item](s, s.frame.moved(*hand, angle))
        z = Layer.HAND if item != "shield" else Layer.HELD
        s.add(z, s.frame.circle(*hand, 0.13), mix(s.limb, WHITE, 0.1))
