"""A monster while it is being drawn: its frame, its palette, the parts so far, and where things attach."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from competitions.bestiary.artist.shapes import Array, Colour, Frame, Part, mix

PALETTE: dict[str, Colour] = {
    "red": (216, 52, 48),
    "orange": (244, 142, 38),
    "yellow": (246, 212, 62),
    "green": (86, 176, 66),
    "teal": (44, 182, 172),
    "blue": (58, 106, 218),
    "purple": (136, 78, 196),
    "pink": (244, 134, 184),
    "brown": (134, 84, 50),
    "gray": (142, 148, 158),
}
BONE: Colour = (246, 236, 212)
INK: Colour = (40, 30, 50)
WHITE: Colour = (255, 255, 255)

GROUND = 0.75  # what bodies stand on

# The parts' order, back to front.
Layer = IntEnum("Layer", "BEHIND WINGS BACK FAR_LIMB BODY PATTERN NEAR_LIMB FACE HEADGEAR HELD HAND EFFECT", start=0)


def shaded(colour: Colour, shade: str) -> Colour:
    """A palette colour in one of the world's shades."""
    if shade == "dark":
        return mix(colour, (20, 14, 40), 0.3)
    return mix(colour, WHITE, 0.3) if shade == "pale" else colour


@dataclass(frozen=True)
class Anchors:
    """Where a body carries things, in its own frame (units; y downwards).

    face: centre and radius; top: centre and half width of the crown of the head; back: where wings grow;
    spine: (x, y, outward x, outward y) of each spike; base: centre and half width of the underside; hand: where items
    are held.
    """

    face: tuple[float, float, float]
    top: tuple[float, float, float]
    back: tuple[float, float]
    spine: tuple[tuple[float, float, float, float], ...]
    base: tuple[float, float, float]
    hand: tuple[float, float]


def fan(
    cx: float, cy: float, rx: float, ry: float, start: float, end: float, n: int = 4
) -> tuple[tuple[float, float, float, float], ...]:
    """Spike roots along an ellipse's edge, angles in degrees clockwise from +x."""
    angles = [math.radians(start + (end - start) * k / (n - 1)) for k in range(n)]
    return tuple((cx + rx * math.cos(a), cy + ry * math.sin(a), math.cos(a), math.sin(a)) for a in angles)


@dataclass
class Sketch:
    """Shapes are taken from `frame` (the body's own, already posed) and added as parts."""

    frame: Frame
    main: Colour
    second: Colour | None
    stride: float
    mood: str
    parts: list[Part] = field(default_factory=list)

    def add(self, z: float, distance: Array, colour: Colour, *, line: bool = True, shade: float = 1.0) -> None:
        self.parts.append(Part(z, distance, colour, line, shade))

    def mark(self, z: float, distance: Array, colour: Colour) -> None:
        """A part without outline or shading."""
        self.add(z, distance, colour, line=False, shade=0)

    @property
    def belly(self) -> Colour:
        """The lighter inside of a body: the second colour, or a tint of the first."""
        return self.second or mix(self.main, WHITE, 0.24)

    @property
    def limb(self) -> Colour:
        """Feet, ears and fins: the second colour, or a deeper first."""
        return self.second or mix(self.main, INK, 0.16)

    def patch(self, distance: Array, inside: Array, colour: Colour | None = None) -> None:
        """A flat marking on the body: `distance` cut off at the edge of `inside`."""
        self.add(Layer.PATTERN, np.maximum(distance, inside + 0.06), colour or self.belly, line=False, shade=0.35)

    def feet(self, near: float, far: float, y: float, size: float) -> None:
        """Two feet that step in turn."""
        for x, z, stride in ((near, Layer.NEAR_LIMB, self.stride), (far, Layer.FAR_LIMB, -self.stride)):
            foot = self.frame.ellipse(x + stride * 0.09, y - max(0.0, stride) * 0.16, size * 1.25, size)
            self.add(z, foot, self.limb)
