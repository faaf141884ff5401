"""Signed distances of simple shapes on a pixel grid, and the canvas that paints them with outline and shading.

Distances are negative inside, in world units (one unit is about 22 pixels), y grows downwards. The formulas are the
well-known exact 2-D distances (Quilez, "2D distance functions"); the ellipse is the usual first-order approximation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Colour = tuple[float, float, float]
Array = np.ndarray

SIZE = 64  # pixels a side of every picture
OUTLINE = 1.25  # pixels


@dataclass(frozen=True)
class Frame:
    """A grid of points seen in some local frame: `x`, `y` are float32 arrays of one shape, in local units."""

    x: Array
    y: Array

    def moved(self, dx: float, dy: float, angle: float = 0.0, sx: float = 1.0, sy: float = 1.0) -> Frame:
        """The frame with its origin at (dx, dy), turned by `angle` (radians, clockwise on screen), scaled by sx, sy."""
        x, y = self.x - dx, self.y - dy
        c, s = math.cos(angle), math.sin(angle)
        return Frame((c * x + s * y) / sx, (-s * x + c * y) / sy)

    def circle(self, cx: float, cy: float, r: float) -> Array:
        distance: Array = np.hypot(self.x - cx, self.y - cy) - r
        return distance

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, angle: float = 0.0) -> Array:
        f = self.moved(cx, cy, angle) if angle else Frame(self.x - cx, self.y - cy)
        k0 = np.hypot(f.x / rx, f.y / ry)
        k1 = np.hypot(f.x / rx**2, f.y / ry**2)
        return np.where(k1 > 1e-6, k0 * (k0 - 1) / np.maximum(k1, 1e-6), -min(rx, ry)).astype(np.float32)

    def capsule(self, x1: float, y1: float, x2: float, y2: float, r1: float, r2: float | None = None) -> Array:
        """A thick line from (x1, y1) to (x2, y2) whose radius goes from r1 to r2."""
        r2 = r1 if r2 is None else r2
        dx, dy = x2 - x1, y2 - y1
        t = np.clip(((self.x - x1) * dx + (self.y - y1) * dy) / max(dx * dx + dy * dy, 1e-9), 0, 1)
        distance: Array = np.hypot(self.x - x1 - t * dx, self.y - y1 - t * dy) - (r1 + (r2 - r1) * t)
        return distance

    def box(self, cx: float, cy: float, hw: float, hh: float, r: float = 0.0, angle: float = 0.0) -> Array:
        """A rectangle of half sizes (hw, hh) with corners rounded by r."""
        f = self.moved(cx, cy, angle)
        qx, qy = np.abs(f.x) - (hw - r), np.abs(f.y) - (hh - r)
        distance: Array = np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0) - r
        return distance

    def polygon(self, *points: tuple[float, float], r: float = 0.0) -> Array:
        """A simple polygon, its corners rounded by growing it by r."""
        best = np.full_like(self.x, np.inf)
        sign = np.ones_like(self.x)
        for (ax, ay), (bx, by) in zip(points, (*points[-1:], *points[:-1]), strict=True):
            ex, ey = bx - ax, by - ay
            wx, wy = self.x - ax, self.y - ay
            t = np.clip((wx * ex + wy * ey) / (ex * ex + ey * ey), 0, 1)
            best = np.minimum(best, (wx - ex * t) ** 2 + (wy - ey * t) ** 2)
            above, below, left = self.y >= ay, self.y < by, ex * wy > ey * wx
            crosses = (above & below & left) | (~above & ~below & ~left)
            sign = np.where(crosses, -sign, sign)
        distance: Array = sign * np.sqrt(best) - r
        return distance

    def arc(self, cx: float, cy: float, radius: float, start: float, end: float, half_width: float) -> Array:
        """A piece of a ring from angle `start` to `end` (radians, clockwise from +x), with round ends."""
        mid, half = (start + end) / 2, (end - start) / 2
        f = self.moved(cx, cy, mid - math.pi / 2)
        x = np.abs(f.x)
        s, c = math.sin(half), math.cos(half)
        inside = c * x > s * f.y
        ring = np.abs(np.hypot(x, f.y) - radius)
        distance: Array = np.where(inside, np.hypot(x - s * radius, f.y - c * radius), ring) - half_width
        return distance

    def star(self, cx: float, cy: float, outer: float, inner: float, points: int, angle: float = 0.0) -> Array:
        corners = []
        for k in range(2 * points):
            radius, turn = inner if k % 2 else outer, k * (math.pi / points) + angle
            corners.append((cx + radius * math.sin(turn), cy - radius * math.cos(turn)))
        return self.polygon(*corners)


def smooth_union(a: Array, b: Array, k: float) -> Array:
    """The union of two shapes with a fillet of about k (polynomial smooth minimum)."""
    h = np.maximum(k - np.abs(a - b), 0) / k
    union: Array = np.minimum(a, b) - h * h * k * 0.25
    return union


def mix(a: Colour, b: Colour, t: float) -> Colour:
    return tuple(x + (y - x) * t for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def darker(colour: Colour, t: float = 0.6) -> Colour:
    """The colour's outline: darkened towards a cold near-black."""
    return mix(colour, (32, 24, 44), t)


@dataclass(frozen=True)
class Part:
    """One painted shape: `z` orders it, `distance` is its signed distance on the canvas grid, in world units."""

    z: float
    distance: Array
    colour: Colour
    line: bool = True  # whether it has an outline
    shade: float = 1.0


@dataclass(frozen=True)
class Canvas:
    """SIZE × SIZE points around (cx, cy), `step` pixels of a picture apart; `unit` pixels are one world unit."""

    unit: float
    cx: float = 0.0
    cy: float = 0.0
    step: float = 1.0

    @cached_property
    def frame(self) -> Frame:
        axis = (np.arange(SIZE, dtype=np.float32) + 0.5 - SIZE / 2) * np.float32(self.step / self.unit)
        return Frame(*np.meshgrid(axis + np.float32(self.cx), axis + np.float32(self.cy)))

    def ink(self, parts: list[Part]) -> tuple[float, float, float, float]:
        """The world box (left, top, right, bottom) that the parts cover, to within one grid step."""
        covered = np.any([part.distance < self.step / self.unit for part in parts], axis=0)
        rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
        x, y = self.frame.x[0], self.frame.y[:, 0]
        return float(x[columns[0]]), float(y[rows[0]]), float(x[columns[-1]]), float(y[rows[-1]])

    def paint(self, parts: list[Part]) -> Array:
        """The parts, lowest z first, on white: float32 (SIZE, SIZE, 3) in 0..255."""
        image = np.full((SIZE, SIZE, 3), 255, dtype=np.float32)
        for part in sorted(parts, key=lambda p: p.z):
            d = part.distance * np.float32(self.unit)
            if d.min() > 0.5:
                continue
            fill = np.asarray(part.colour, dtype=np.float32) * np.ones((1, 1, 1), np.float32)
            if part.shade:
                fill = self._shaded(fill, d, part.shade)
            cover = np.clip(0.5 - d, 0, 1)[..., None]
            if part.line:
                inner = np.clip(0.5 - (d + OUTLINE), 0, 1)[..., None]
                fill = fill * inner + np.asarray(darker(part.colour), dtype=np.float32) * (1 - inner)
            image = image * (1 - cover) + fill * cover
        return image

    @staticmethod
    def _shaded(fill: Array, d: Array, amount: float) -> Array:
        """Light from the upper left on a shape that is round near its edge and flat inside; d in pixels."""
        gy, gx = np.gradient(d)
        depth = min(9.0, max(2.5, float(-d.min())))
        roundness = np.clip(1 + d / depth, 0, 1) ** 1.5
        light = np.clip((-0.55 * gx - 0.83 * gy) * roundness, -1, 1)[..., None] * amount
        lit = fill + (255 - fill) * np.clip(light, 0, 1) * 0.42
        shaded: Array = lit * (1 - np.clip(-light, 0, 1) * 0.34)
        return shaded
