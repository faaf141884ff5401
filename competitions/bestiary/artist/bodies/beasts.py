"""Bodies with a backbone."""

from __future__ import annotations

import numpy as np

from competitions.bestiary.artist.shapes import Frame, smooth_union
from competitions.bestiary.artist.sketch import GROUND, INK, Anchors, Layer, Sketch, fan


def bear(s: Sketch, f: Frame) -> Anchors:
    s.feet(-0.26, 0.3, GROUND - 0.08, 0.17)
    body = f.ellipse(0, 0.36, 0.46, 0.42)
    s.add(Layer.BODY, body, s.main)
    s.patch(f.ellipse(0.05, 0.42, 0.28, 0.28), body)
    s.add(Layer.FAR_LIMB, f.capsule(-0.36, 0.2, -0.6, 0.42, 0.14), s.limb)
    for x in (-0.36, 0.42):
        s.add(Layer.BODY, f.circle(x, -0.62, 0.17), s.main)
        s.add(Layer.BODY + 0.1, f.circle(x, -0.6, 0.08), s.belly, line=False)
    s.add(Layer.BODY + 0.2, f.ellipse(0.03, -0.28, 0.5, 0.42), s.main)
    s.add(Layer.PATTERN, f.ellipse(0.12, -0.12, 0.2, 0.14), s.belly, line=False)
    spine = fan(-0.02, 0.2, 0.46, 0.6, 150, 235)
    return Anchors((0.08, -0.28, 0.33), (0.03, -0.66, 0.32), (-0.05, 0.2), spine, (0, 0.7, 0.38), (0.62, 0.34))


def snake(s: Sketch, f: Frame) -> Anchors:
    s.add(Layer.FAR_LIMB, f.capsule(0.3, 0.6, 0.92, 0.38 + 0.1 * s.stride, 0.15, 0.04), s.main)
    for y, rx, z in ((0.56, 0.72, 0.0), (0.33, 0.54, 0.1)):
        coil = f.ellipse(-0.05, y, rx, 0.2)
        s.add(Layer.BODY + z, coil, s.main)
        for x in (-0.36, -0.04, 0.28):
            stripe = np.maximum(f.box(x * rx * 1.7, y + 0.06, 0.08, 0.2, 0.05), coil + 0.06)
            s.add(Layer.PATTERN - 1 + z + 0.55 - 0.5, stripe, s.belly, line=False, shade=0.3)
    neck = smooth_union(f.capsule(-0.22, 0.26, 0.08, -0.2, 0.21, 0.18), f.ellipse(0.12, -0.38, 0.42, 0.32), 0.2)
    s.add(Layer.BODY + 0.3, neck, s.main)
    s.patch(f.capsule(-0.08, 0.24, 0.12, -0.1, 0.1, 0.08), neck)
    spine = fan(-0.05, 0.05, 0.4, 0.6, 170, 250)
    return Anchors((0.16, -0.38, 0.31), (0.1, -0.68, 0.3), (-0.2, 0.1), spine, (0, 0.6, 0.55), (0.66, 0.08))


def bird(s: Sketch, f: Frame) -> Anchors:
    for i, x in enumerate((-0.12, 0.2)):
        shift = 0.12 * s.stride * (-1) ** i
        shank = f.capsule(x, 0.5, x + shift, GROUND - 0.03, 0.045)
        foot = f.capsule(x + shift - 0.1, GROUND, x + shift + 0.16, GROUND, 0.05)
        s.add(Layer.FAR_LIMB, np.minimum(shank, foot), (238, 160, 50))
    for k in range(3):
        s.add(Layer.BACK, f.capsule(-0.3, 0.3, -0.84, 0.06 + 0.2 * k, 0.1, 0.06), s.limb)
    body = smooth_union(f.ellipse(-0.02, 0.2, 0.46, 0.42), f.circle(0.08, -0.34, 0.36), 0.3)
    s.add(Layer.BODY, body, s.main)
    s.patch(f.ellipse(0.12, 0.28, 0.27, 0.32), body)
    s.add(Layer.NEAR_LIMB, f.ellipse(-0.22, 0.16, 0.26, 0.17, 0.5), s.limb)
    s.add(Layer.FACE + 0.2, f.polygon((0.36, -0.36), (0.82, -0.2), (0.36, -0.1)), (250, 176, 40))
    spine = fan(-0.02, 0, 0.42, 0.62, 165, 250)
    return Anchors((0.1, -0.36, 0.27), (0.08, -0.66, 0.26), (-0.12, 0.1), spine, (0, 0.56, 0.34), (0.64, 0.3))


def fish(s: Sketch, f: Frame) -> Anchors:
    wag = 0.08 * s.stride
    fin = f.polygon((-0.4, 0.1), (-0.96, -0.32 + wag), (-0.82, 0.1 + wag), (-0.96, 0.5 + wag), r=0.04)
    s.add(Layer.BACK, fin, s.limb)
    s.add(Layer.BACK, f.polygon((-0.3, -0.3), (-0.05, -0.66), (0.3, -0.3), r=0.03), s.limb)
    body = f.ellipse(0.08, 0.1, 0.66, 0.48)
    s.add(Layer.BODY, body, s.main)
    s.patch(f.ellipse(0.1, 0.46, 0.5, 0.22), body)
    for x in (-0.32, -0.16):
        s.patch(f.arc(x - 0.24, 0.06, 0.3, -0.7, 0.7, 0.045), body)
    s.add(Layer.NEAR_LIMB, f.polygon((-0.06, 0.24), (-0.3, 0.56 - wag), (0.06, 0.5 - wag), r=0.04), s.limb)
    spine = fan(0.08, 0.1, 0.62, 0.46, 195, 275)
    return Anchors((0.36, 0.02, 0.28), (0.3, -0.38, 0.26), (-0.05, -0.05), spine, (0, 0.5, 0.4), (0.76, 0.42))


def cat(s: Sketch, f: Frame) -> Anchors:
    root, tip = f.capsule(-0.6, 0.3, -0.84, 0, 0.075), f.capsule(-0.84, 0, -0.74, -0.34 + 0.08 * s.stride, 0.075, 0.06)
    s.add(Layer.BACK, np.minimum(root, tip), s.limb)
    for i, x in enumerate((-0.5, -0.28, 0.14, 0.36)):
        swing = 0.1 * s.stride * (-1) ** i
        s.add(Layer.FAR_LIMB if i % 2 else Layer.BODY + 0.05, f.capsule(x, 0.4, x + swing, GROUND - 0.08, 0.1), s.limb)
    body = f.capsule(-0.42, 0.34, 0.22, 0.32, 0.28)
    s.add(Layer.BODY, body, s.main)
    for x in (-0.42, -0.2):
        s.patch(f.capsule(x, 0.02, x - 0.04, 0.3, 0.05), body)
    for x in (0.12, 0.62):
        ear = f.polygon((x - 0.14, -0.36), (x + 0.14, -0.36), (x + (0.06 if x > 0.3 else -0.06), -0.72), r=0.02)
        s.add(Layer.BODY + 0.1, ear, s.limb)
    s.add(Layer.BODY + 0.2, f.ellipse(0.37, -0.14, 0.4, 0.34), s.main)
    s.add(Layer.PATTERN, f.ellipse(0.43, 0.02, 0.18, 0.11), s.belly, line=False)
    spine = tuple((x, 0.08, -0.2, -1) for x in (-0.58, -0.4, -0.22, -0.06))
    return Anchors((0.41, -0.15, 0.27), (0.36, -0.44, 0.26), (-0.25, 0.15), spine, (-0.1, 0.56, 0.42), (0.8, 0.36))


def frog(s: Sketch, f: Frame) -> Anchors:
    for side in (-1, 1):
        s.add(Layer.FAR_LIMB, f.ellipse(side * 0.56, 0.44, 0.26, 0.2, side * 0.6), s.limb)
        s.add(Layer.FAR_LIMB + 0.1, f.ellipse(side * 0.66 + 0.05 * s.stride, GROUND - 0.06, 0.24, 0.09), s.limb)
        leg = f.capsule(side * 0.26, 0.46, side * 0.24, GROUND - 0.08 - 0.08 * max(0, side * s.stride), 0.09)
        s.add(Layer.NEAR_LIMB, leg, s.limb)
        s.add(Layer.BODY, f.circle(0.04 + side * 0.32, -0.36, 0.2), s.main)
    body = smooth_union(f.ellipse(0, 0.32, 0.52, 0.4), f.ellipse(0.04, -0.04, 0.6, 0.38), 0.2)
    s.add(Layer.BODY + 0.1, body, s.main)
    s.patch(f.ellipse(0.03, 0.42, 0.36, 0.28), body)
    spine = fan(-0.02, 0.14, 0.58, 0.5, 165, 225)
    return Anchors((0.07, -0.08, 0.36), (0.04, -0.44, 0.24), (0, 0.1), spine, (0, 0.64, 0.42), (0.8, 0.14))


def dragon(s: Sketch, f: Frame) -> Anchors:
    wag = 0.08 * s.stride
    root, tip = f.capsule(-0.2, 0.5, -0.66, 0.5, 0.2, 0.12), f.capsule(-0.66, 0.5, -0.94, 0.16 + wag, 0.12, 0.05)
    s.add(Layer.BACK, smooth_union(root, tip, 0.1), s.main)
    s.add(Layer.BEHIND + 2.1, f.polygon((-0.94, 0.22 + wag), (-1.06, -0.06 + wag), (-0.8, 0.06 + wag), r=0.02), s.limb)
    s.feet(-0.2, 0.24, GROUND - 0.08, 0.16)
    body = smooth_union(f.ellipse(-0.02, 0.38, 0.42, 0.36), f.capsule(0.06, 0.2, 0.2, -0.3, 0.26, 0.2), 0.25)
    s.add(Layer.BODY, body, s.main)
    s.patch(smooth_union(f.ellipse(0.12, 0.42, 0.24, 0.26), f.capsule(0.2, 0.2, 0.32, -0.16, 0.13, 0.1), 0.2), body)
    head = smooth_union(f.ellipse(0.2, -0.42, 0.34, 0.28), f.ellipse(0.5, -0.28, 0.26, 0.16), 0.15)
    s.add(Layer.BODY + 0.2, head, s.main)
    s.mark(Layer.FACE + 0.1, f.circle(0.64, -0.34, 0.03), INK)
    for x, y in ((-0.12, -0.58), (-0.18, -0.34)):
        s.add(Layer.BACK, f.polygon((x + 0.1, y - 0.06), (x - 0.14, y - 0.08), (x + 0.08, y + 0.12), r=0.02), s.limb)
    spine = ((-0.12, 0.02, -1, -0.5), (-0.36, 0.24, -0.7, -1), (-0.6, 0.38, -0.4, -1), (-0.8, 0.2, -1, -0.6))
    return Anchors((0.22, -0.42, 0.24), (0.16, -0.66, 0.26), (-0.1, 0.15), spine, (0, 0.66, 0.36), (0.66, 0.26))
