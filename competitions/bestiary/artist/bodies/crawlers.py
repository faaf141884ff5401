"""Bodies with a shell, many legs, or none."""

from __future__ import annotations

import numpy as np

from competitions.bestiary.artist.shapes import Frame, mix, smooth_union
from competitions.bestiary.artist.sketch import GROUND, INK, WHITE, Anchors, Layer, Sketch, fan


def spider(s: Sketch, f: Frame) -> Anchors:
    for side in (-1, 1):
        for k in range(4):
            knee_x, knee_y = side * (0.6 + 0.1 * k), -0.12 + 0.17 * k
            foot = side * (0.72 + 0.09 * k) + 0.07 * s.stride * (-1) ** k
            thigh = f.capsule(side * 0.25, 0.2, knee_x, knee_y, 0.075)
            shank = f.capsule(knee_x, knee_y, foot, min(GROUND, 0.4 + 0.12 * k), 0.065)
            s.add(Layer.FAR_LIMB - 0.1 * k, np.minimum(thigh, shank), s.limb)
    abdomen = f.ellipse(-0.12, 0.08, 0.5, 0.46)
    s.add(Layer.BODY, abdomen, s.main)
    for x, y, r in ((-0.36, -0.02, 0.14), (-0.06, -0.2, 0.13), (-0.3, 0.28, 0.1)):
        s.patch(f.circle(x, y, r), abdomen)
    s.add(Layer.BODY + 0.2, f.circle(0.16, 0.28, 0.36), s.main)
    for x in (0.06, 0.26):
        s.add(Layer.FACE - 0.1, f.polygon((x - 0.05, 0.58), (x + 0.05, 0.58), (x, 0.74)), WHITE)
    spine = fan(-0.12, 0.08, 0.48, 0.44, 190, 280)
    return Anchors((0.17, 0.26, 0.3), (0.1, -0.14, 0.3), (-0.15, 0), spine, (0, 0.55, 0.4), (0.8, 0.2))


def crab(s: Sketch, f: Frame) -> Anchors:
    for side in (-1, 1):
        for k in range(3):
            step = 0.06 * s.stride * (-1) ** k
            leg = f.capsule(side * 0.4, 0.42, side * (0.5 + 0.17 * k) + step, GROUND - 0.06 * k, 0.08, 0.045)
            s.add(Layer.FAR_LIMB, leg, s.limb)
        s.add(Layer.FAR_LIMB, f.capsule(side * 0.55, 0.2, side * 0.82, -0.08, 0.08), s.limb)
        cx, cy = side * 0.84, -0.26
        claw = np.maximum(f.circle(cx, cy, 0.24), -f.polygon((cx, cy), (cx - 0.13, cy - 0.4), (cx + 0.13, cy - 0.4)))
        s.add(Layer.NEAR_LIMB, claw, s.limb)
    shell = f.ellipse(0, 0.3, 0.66, 0.38)
    s.add(Layer.BODY, shell, s.main)
    s.patch(f.ellipse(0, 0.6, 0.5, 0.2), shell)
    spine = fan(0, 0.3, 0.62, 0.36, 200, 340)
    return Anchors((0.06, 0.24, 0.3), (0.03, -0.06, 0.36), (0, 0.15), spine, (0, 0.58, 0.5), (0.86, 0.28))


def snail(s: Sketch, f: Frame) -> Anchors:
    foot = f.capsule(-0.72, GROUND - 0.1, 0.4, GROUND - 0.12, 0.1, 0.15)
    neck = f.capsule(0.42, 0.6, 0.56, 0.02, 0.17, 0.2)
    s.add(Layer.BODY, smooth_union(foot, neck, 0.2), s.main)
    for x in (0.44, 0.74):
        s.add(Layer.BACK, f.capsule(0.56, 0, x, -0.4 + 0.04 * s.stride, 0.045), s.main)
        s.add(Layer.BODY, f.circle(x, -0.42 + 0.04 * s.stride, 0.08), s.main)
    shell = f.circle(-0.16, 0.16, 0.5)
    s.add(Layer.BODY + 0.2, shell, s.second or mix(s.main, WHITE, 0.25))
    for radius, start, end in ((0.34, -2.6, 1.6), (0.19, 0.4, 5.0)):
        s.mark(Layer.PATTERN, f.arc(-0.16, 0.16, radius, start, end, 0.035), mix(s.main, INK, 0.45))
    spine = fan(-0.16, 0.16, 0.5, 0.5, 185, 300)
    return Anchors((0.56, 0.08, 0.2), (0.56, -0.12, 0.22), (-0.16, 0.1), spine, (-0.1, 0.66, 0.5), (0.84, 0.44))


def beetle(s: Sketch, f: Frame) -> Anchors:
    for side in (-1, 1):
        for k in range(3):
            y = 0.05 + 0.24 * k
            leg = f.capsule(side * 0.4, y, side * 0.84, y + 0.1 + 0.05 * s.stride * (-1) ** k, 0.065, 0.045)
            s.add(Layer.FAR_LIMB, leg, s.limb)
    for x in (-0.16, 0.28):
        s.add(Layer.BACK, np.minimum(f.capsule(0.06, -0.45, x, -0.78, 0.035), f.circle(x, -0.8, 0.06)), s.limb)
    s.add(Layer.BODY, f.ellipse(0.05, -0.36, 0.36, 0.3), s.limb)
    shell = f.ellipse(0, 0.32, 0.58, 0.48)
    s.add(Layer.BODY + 0.2, shell, s.main)
    s.patch(f.capsule(0, -0.2, 0, 0.8, 0.025), shell, mix(s.main, INK, 0.6))
    for x, y in ((-0.3, 0.14), (0.3, 0.14), (-0.26, 0.5), (0.26, 0.5)):
        s.patch(f.circle(x, y, 0.11), shell)
    spine = fan(0, 0.32, 0.56, 0.46, 150, 220)
    return Anchors((0.07, -0.36, 0.24), (0.05, -0.62, 0.26), (0, 0.1), spine, (0, 0.7, 0.4), (0.78, -0.02))


def worm(s: Sketch, f: Frame) -> Anchors:
    bend = 0.07 * s.stride
    rings = ((-0.66, 0.56, 0.2), (-0.36, 0.5 - bend, 0.26), (-0.02, 0.46, 0.3), (0.16, 0.16 + bend, 0.33))
    for k, (x, y, r) in enumerate(rings):
        s.add(Layer.BODY + 0.05 * k, f.circle(x, y, r), s.main if k % 2 else s.belly)
        if k < 3:
            s.add(Layer.FAR_LIMB, f.ellipse(x, GROUND - 0.04, 0.1, 0.07), s.limb)
    s.add(Layer.BODY + 0.3, f.circle(0.2, -0.24, 0.4), s.main)
    spine = ((-0.7, 0.38, -0.4, -1), (-0.42, 0.26, -0.3, -1), (-0.16, 0.1, -0.8, -0.7), (-0.16, -0.34, -1, -0.3))
    return Anchors((0.25, -0.24, 0.31), (0.2, -0.6, 0.3), (-0.1, 0.1), spine, (-0.1, 0.64, 0.44), (0.72, 0.26))
