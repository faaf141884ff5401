"""Bodies of no animal: of jelly, stone, cloth, wood, fire, light."""

from __future__ import annotations

import numpy as np

from competitions.bestiary.artist.shapes import Frame, mix, smooth_union
from competitions.bestiary.artist.sketch import GROUND, INK, WHITE, Anchors, Layer, Sketch, fan


def slime(s: Sketch, f: Frame) -> Anchors:
    dome = np.maximum(f.ellipse(0, 0.32, 0.72, 0.78), f.y - GROUND)
    for x, r in ((-0.62, 0.17), (-0.22, 0.13), (0.25, 0.15), (0.64, 0.18)):
        dome = smooth_union(dome, f.ellipse(x, GROUND - 0.1, r * 1.3, r), 0.18)
    s.add(Layer.BODY, dome, s.main)
    s.patch(f.ellipse(-0.02, 0.72, 0.52, 0.26), dome)
    s.mark(Layer.PATTERN, f.ellipse(-0.33, -0.08, 0.07, 0.15, 0.6), mix(s.main, WHITE, 0.75))
    spine = fan(0, 0.32, 0.7, 0.76, 185, 285)
    return Anchors((0.08, 0.2, 0.36), (0.02, -0.42, 0.4), (0, 0.25), spine, (0, 0.66, 0.6), (0.78, 0.35))


def golem(s: Sketch, f: Frame) -> Anchors:
    for i, x in enumerate((-0.26, 0.26)):
        leg = f.box(x + 0.1 * s.stride * (-1) ** i, 0.6 - 0.1 * max(0.0, s.stride * (-1) ** i), 0.17, 0.17, 0.04)
        s.add(Layer.FAR_LIMB, leg, s.limb)
    s.add(Layer.FAR_LIMB, f.box(-0.66, 0.28, 0.17, 0.3, 0.06, 0.12), s.limb)
    torso = f.box(0, 0.18, 0.5, 0.34, 0.06)
    s.add(Layer.BODY, torso, s.main)
    s.patch(f.box(0.04, 0.2, 0.24, 0.18, 0.03), torso)
    s.add(Layer.BODY + 0.2, f.box(0.05, -0.38, 0.4, 0.32, 0.07), s.main)
    crack = np.minimum(f.capsule(-0.44, -0.02, -0.3, 0.1, 0.022), f.capsule(-0.3, 0.1, -0.36, 0.22, 0.02))
    s.mark(Layer.PATTERN, crack, mix(s.main, INK, 0.6))
    spine = ((-0.5, 0.3, -1, 0), (-0.52, -0.02, -0.9, -0.3), (-0.36, -0.5, -0.8, -0.5), (-0.2, -0.7, -0.3, -1))
    return Anchors((0.1, -0.37, 0.28), (0.05, -0.68, 0.34), (-0.05, 0.05), spine, (0, 0.56, 0.44), (0.68, 0.3))


def ghost(s: Sketch, f: Frame) -> Anchors:
    hem = GROUND - 0.14 + 0.09 * np.sin(f.x * 11 + 1.5 * s.stride)
    cloth = smooth_union(f.circle(0.03, -0.2, 0.5), f.capsule(0, 0.1, -0.06, 0.8, 0.48, 0.56), 0.2)
    sheet = np.maximum(cloth, f.y - hem)
    s.add(Layer.BODY, sheet, s.main)
    s.patch(f.ellipse(0, 0.62, 0.5, 0.16), sheet)
    for x in (-0.56, 0.56):
        s.add(Layer.NEAR_LIMB, f.ellipse(x, 0.22, 0.18, 0.11, -0.6 * np.sign(x)), s.limb)
    spine = fan(0, 0, 0.5, 0.66, 160, 250)
    return Anchors((0.08, -0.16, 0.34), (0.03, -0.66, 0.34), (0, 0.1), spine, (0, 0.6, 0.44), (0.72, 0.24))


def stump(s: Sketch, f: Frame) -> Anchors:
    trunk = f.polygon((-0.4, -0.5), (0.44, -0.5), (0.46, 0.4), (0.72, GROUND), (-0.68, GROUND), (-0.44, 0.4), r=0.03)
    s.add(Layer.BODY, trunk, s.main)
    for x in (-0.3, -0.1, 0.34):
        s.patch(f.capsule(x, 0.42, x * 1.3, 0.66, 0.04), trunk, mix(s.main, INK, 0.35))
    s.patch(f.box(-0.02, 0.56, 0.8, 0.1), trunk)
    s.add(Layer.BODY + 0.3, f.ellipse(0.02, -0.52, 0.43, 0.15), s.belly)
    s.mark(Layer.PATTERN + 0.1, np.abs(f.ellipse(0.02, -0.52, 0.22, 0.07)) - 0.022, mix(s.belly, INK, 0.4))
    s.add(Layer.FAR_LIMB, f.capsule(-0.4, 0, -0.76, -0.2 + 0.08 * s.stride, 0.09, 0.06), s.main)
    s.add(Layer.NEAR_LIMB, f.ellipse(-0.84, -0.28 + 0.08 * s.stride, 0.14, 0.09, 0.7), (112, 186, 74))
    spine = ((-0.46, 0.42, -1, 0), (-0.42, 0.16, -1, -0.1), (-0.42, -0.28, -1, -0.3), (-0.3, -0.56, -0.4, -1))
    return Anchors((0.06, -0.02, 0.33), (0.02, -0.56, 0.34), (0, 0), spine, (0, 0.66, 0.56), (0.72, 0.2))


def flame(s: Sketch, f: Frame) -> Anchors:
    sway = 0.08 * s.stride
    fire = f.circle(0, 0.26, 0.5)
    tongues = ((-0.3, 0.2, -0.58, -0.36, 0.24), (0.05, 0, 0.04, -0.84, 0.34), (0.34, 0.2, 0.6, -0.3, 0.22))
    for x, y, tx, ty, r in tongues:
        fire = smooth_union(fire, f.capsule(x, y, tx + sway, ty, r, 0.03), 0.22)
    s.add(Layer.BODY, fire, s.main)
    core = f.circle(0.04, 0.36, 0.33)
    for x, tx in ((-0.1, -0.24), (0.16, 0.22)):
        core = smooth_union(core, f.capsule(x, 0.2, tx + sway, -0.16, 0.16, 0.03), 0.2)
    s.add(Layer.PATTERN, core, s.belly, line=False, shade=0.4)
    spine = fan(0, 0.24, 0.5, 0.5, 130, 200)
    return Anchors((0.07, 0.26, 0.32), (0.04, -0.42, 0.24), (0, 0.15), spine, (0, 0.66, 0.4), (0.76, 0.34))


def star(s: Sketch, f: Frame) -> Anchors:
    shape = f.star(0, 0, 0.8, 0.4, 5, 0.12 * s.stride) - 0.09
    s.add(Layer.BODY, shape, s.main)
    s.patch(f.star(0.02, 0.04, 0.5, 0.25, 5, 0.12 * s.stride) - 0.08, shape)
    spine = ((-0.56, 0.05, -0.6, 0.8), (-0.5, -0.32, -0.4, -1), (0.46, -0.34, 0.4, -1), (0, 0.52, 0, 1))
    return Anchors((0.04, 0.02, 0.29), (0, -0.64, 0.18), (0, 0), spine, (0, 0.5, 0.4), (0.76, 0.24))
