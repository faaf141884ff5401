"""The body plans: each draws one kind of body into a sketch and says where things attach.

A body fits in about [-1, 1] x [-1, 1] units, looks at the viewer and slightly to the right, and stands on y = 0.75.
Its anchors stand in two rows: face, top, back; spine, base, hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from submission.bestiary.shapes import mix, smooth_union
from submission.bestiary.sketch import (
    BACK,
    BEHIND,
    BODY,
    FACE,
    FAR_LIMB,
    INK,
    NEAR_LIMB,
    PATTERN,
    WHITE,
    Anchors,
    Sketch,
)

GROUND = 0.75


def _fan(cx: float, cy: float, rx: float, ry: float, start: float, end: float, n: int = 4) -> tuple:
    """Spike roots along an ellipse's edge, angles in degrees clockwise from +x."""
    out = []
    for k in range(n):
        a = math.radians(start + (end - start) * k / (n - 1))
        out.append((cx + rx * math.cos(a), cy + ry * math.sin(a), math.cos(a), math.sin(a)))
    return tuple(out)


def slime(s: Sketch) -> Anchors:
    f = s.frame
    dome = np.maximum(f.ellipse(0, 0.32, 0.72, 0.78), f.y - GROUND)
    for x, r in ((-0.62, 0.17), (-0.22, 0.13), (0.25, 0.15), (0.64, 0.18)):
        dome = smooth_union(dome, f.ellipse(x, GROUND - 0.1, r * 1.3, r), 0.18)
    s.add(BODY, dome, s.main)
    s.patch(f.ellipse(-0.02, 0.72, 0.52, 0.26), dome)
    s.add(PATTERN, f.ellipse(-0.33, -0.08, 0.07, 0.15, 0.6), mix(s.main, WHITE, 0.75), line=False, shade=0)
    return Anchors(
        (0.08, 0.2, 0.36), (0.02, -0.42, 0.4), (0, 0.25),
        _fan(0, 0.32, 0.7, 0.76, 185, 285), (0, 0.66, 0.6), (0.78, 0.35),
    )  # fmt: skip


def bear(s: Sketch) -> Anchors:
    f = s.frame
    s.feet((-0.26, 0.3), GROUND - 0.08, 0.17)
    body = f.ellipse(0, 0.36, 0.46, 0.42)
    s.add(BODY, body, s.main)
    s.patch(f.ellipse(0.05, 0.42, 0.28, 0.28), body)
    s.add(FAR_LIMB, f.capsule(-0.36, 0.2, -0.6, 0.42, 0.14), s.limb)
    for x in (-0.36, 0.42):
        s.add(BODY, f.circle(x, -0.62, 0.17), s.main)
        s.add(BODY + 0.1, f.circle(x, -0.6, 0.08), s.belly, line=False)
    s.add(BODY + 0.2, f.ellipse(0.03, -0.28, 0.5, 0.42), s.main)
    s.add(PATTERN, f.ellipse(0.12, -0.12, 0.2, 0.14), s.belly, line=False)
    return Anchors(
        (0.08, -0.28, 0.33), (0.03, -0.66, 0.32), (-0.05, 0.2),
        _fan(-0.02, 0.2, 0.46, 0.6, 150, 235), (0, 0.7, 0.38), (0.62, 0.34),
    )  # fmt: skip


def snake(s: Sketch) -> Anchors:
    f = s.frame
    s.add(FAR_LIMB, f.capsule(0.3, 0.6, 0.92, 0.38 + 0.1 * s.stride, 0.15, 0.04), s.main)
    for y, rx, z in ((0.56, 0.72, 0.0), (0.33, 0.54, 0.1)):
        coil = f.ellipse(-0.05, y, rx, 0.2)
        s.add(BODY + z, coil, s.main)
        for x in (-0.36, -0.04, 0.28):
            s.add(
                PATTERN - 1 + z + 0.55 - 0.5,
                np.maximum(f.box(x * rx * 1.7, y + 0.06, 0.08, 0.2, 0.05), coil + 0.06),
                s.belly,
                line=False,
                shade=0.3,
            )
    neck = smooth_union(f.capsule(-0.22, 0.26, 0.08, -0.2, 0.21, 0.18), f.ellipse(0.12, -0.38, 0.42, 0.32), 0.2)
    s.add(BODY + 0.3, neck, s.main)
    s.patch(f.capsule(-0.08, 0.24, 0.12, -0.1, 0.1, 0.08), neck)
    return Anchors(
        (0.16, -0.38, 0.31), (0.1, -0.68, 0.3), (-0.2, 0.1),
        _fan(-0.05, 0.05, 0.4, 0.6, 170, 250), (0, 0.6, 0.55), (0.66, 0.08),
    )  # fmt: skip


def spider(s: Sketch) -> Anchors:
    f = s.frame
    for side in (-1, 1):
        for k in range(4):
            knee_x, knee_y = side * (0.6 + 0.1 * k), -0.12 + 0.17 * k
            foot = side * (0.72 + 0.09 * k) + 0.07 * s.stride * (-1) ** k
            leg = np.minimum(
                f.capsule(side * 0.25, 0.2, knee_x, knee_y, 0.075),
                f.capsule(knee_x, knee_y, foot, min(GROUND, 0.4 + 0.12 * k), 0.065),
            )
            s.add(FAR_LIMB - 0.1 * k, leg, s.limb)
    abdomen = f.ellipse(-0.12, 0.08, 0.5, 0.46)
    s.add(BODY, abdomen, s.main)
    for x, y, r in ((-0.36, -0.02, 0.14), (-0.06, -0.2, 0.13), (-0.3, 0.28, 0.1)):
        s.patch(f.circle(x, y, r), abdomen)
    s.add(BODY + 0.2, f.circle(0.16, 0.28, 0.36), s.main)
    for x in (0.06, 0.26):
        s.add(FACE - 0.1, f.polygon((x - 0.05, 0.58), (x + 0.05, 0.58), (x, 0.74)), WHITE)
    return Anchors(
        (0.17, 0.26, 0.3), (0.1, -0.14, 0.3), (-0.15, 0),
        _fan(-0.12, 0.08, 0.48, 0.44, 190, 280), (0, 0.55, 0.4), (0.8, 0.2),
    )  # fmt: skip


def bird(s: Sketch) -> Anchors:
    f = s.frame
    for i, x in enumerate((-0.12, 0.2)):
        shift = 0.12 * s.stride * (-1) ** i
        s.add(
            FAR_LIMB,
            np.minimum(
                f.capsule(x, 0.5, x + shift, GROUND - 0.03, 0.045),
                f.capsule(x + shift - 0.1, GROUND, x + shift + 0.16, GROUND, 0.05),
            ),
            (238, 160, 50),
        )
    for k in range(3):
        s.add(BACK, f.capsule(-0.3, 0.3, -0.84, 0.06 + 0.2 * k, 0.1, 0.06), s.limb)
    body = smooth_union(f.ellipse(-0.02, 0.2, 0.46, 0.42), f.circle(0.08, -0.34, 0.36), 0.3)
    s.add(BODY, body, s.main)
    s.patch(f.ellipse(0.12, 0.28, 0.27, 0.32), body)
    s.add(NEAR_LIMB, f.ellipse(-0.22, 0.16, 0.26, 0.17, 0.5), s.limb)
    s.add(FACE + 0.2, f.polygon((0.36, -0.36), (0.82, -0.2), (0.36, -0.1)), (250, 176, 40))
    return Anchors(
        (0.1, -0.36, 0.27), (0.08, -0.66, 0.26), (-0.12, 0.1),
        _fan(-0.02, 0, 0.42, 0.62, 165, 250), (0, 0.56, 0.34), (0.64, 0.3),
    )  # fmt: skip


def fish(s: Sketch) -> Anchors:
    f = s.frame
    wag = 0.08 * s.stride
    s.add(BACK, f.polygon((-0.4, 0.1), (-0.96, -0.32 + wag), (-0.82, 0.1 + wag), (-0.96, 0.5 + wag), r=0.04), s.limb)
    s.add(BACK, f.polygon((-0.3, -0.3), (-0.05, -0.66), (0.3, -0.3), r=0.03), s.limb)
    body = f.ellipse(0.08, 0.1, 0.66, 0.48)
    s.add(BODY, body, s.main)
    s.patch(f.ellipse(0.1, 0.46, 0.5, 0.22), body)
    for x in (-0.32, -0.16):
        s.patch(f.arc(x - 0.24, 0.06, 0.3, -0.7, 0.7, 0.045), body)
    s.add(NEAR_LIMB, f.polygon((-0.06, 0.24), (-0.3, 0.56 - wag), (0.06, 0.5 - wag), r=0.04), s.limb)
    return Anchors(
        (0.36, 0.02, 0.28), (0.3, -0.38, 0.26), (-0.05, -0.05),
        _fan(0.08, 0.1, 0.62, 0.46, 195, 275), (0, 0.5, 0.4), (0.76, 0.42),
    )  # fmt: skip


def golem(s: Sketch) -> Anchors:
    f = s.frame
    for i, x in enumerate((-0.26, 0.26)):
        s.add(
            FAR_LIMB,
            f.box(x + 0.1 * s.stride * (-1) ** i, 0.6 - 0.1 * max(0.0, s.stride * (-1) ** i), 0.17, 0.17, 0.04),
            s.limb,
        )
    s.add(FAR_LIMB, f.box(-0.66, 0.28, 0.17, 0.3, 0.06, 0.12), s.limb)
    torso = f.box(0, 0.18, 0.5, 0.34, 0.06)
    s.add(BODY, torso, s.main)
    s.patch(f.box(0.04, 0.2, 0.24, 0.18, 0.03), torso)
    s.add(BODY + 0.2, f.box(0.05, -0.38, 0.4, 0.32, 0.07), s.main)
    s.add(
        PATTERN,
        np.minimum(f.capsule(-0.44, -0.02, -0.3, 0.1, 0.022), f.capsule(-0.3, 0.1, -0.36, 0.22, 0.02)),
        mix(s.main, INK, 0.6),
        line=False,
        shade=0,
    )
    return Anchors(
        (0.1, -0.37, 0.28), (0.05, -0.68, 0.34), (-0.05, 0.05),
        ((-0.5, 0.3, -1, 0), (-0.52, -0.02, -0.9, -0.3), (-0.36, -0.5, -0.8, -0.5), (-0.2, -0.7, -0.3, -1)),
        (0, 0.56, 0.44), (0.68, 0.3),
    )  # fmt: skip


def ghost(s: Sketch) -> Anchors:
    f = s.frame
    hem = GROUND - 0.14 + 0.09 * np.sin(f.x * 11 + 1.5 * s.stride)
    sheet = np.maximum(
        smooth_union(f.circle(0.03, -0.2, 0.5), f.capsule(0, 0.1, -0.06, 0.8, 0.48, 0.56), 0.2), f.y - hem
    )
    s.add(BODY, sheet, s.main)
    s.patch(f.ellipse(0, 0.62, 0.5, 0.16), sheet)
    for x in (-0.56, 0.56):
        s.add(NEAR_LIMB, f.ellipse(x, 0.22, 0.18, 0.11, -0.6 * np.sign(x)), s.limb)
    return Anchors(
        (0.08, -0.16, 0.34), (0.03, -0.66, 0.34), (0, 0.1),
        _fan(0, 0, 0.5, 0.66, 160, 250), (0, 0.6, 0.44), (0.72, 0.24),
    )  # fmt: skip


def crab(s: Sketch) -> Anchors:
    f = s.frame
    for side in (-1, 1):
        for k in range(3):
            step = 0.06 * s.stride * (-1) ** k
            s.add(
                FAR_LIMB,
                f.capsule(side * 0.4, 0.42, side * (0.5 + 0.17 * k) + step, GROUND - 0.06 * k, 0.08, 0.045),
                s.limb,
            )
        s.add(FAR_LIMB, f.capsule(side * 0.55, 0.2, side * 0.82, -0.08, 0.08), s.limb)
        cx, cy = side * 0.84, -0.26
        claw = np.maximum(f.circle(cx, cy, 0.24), -f.polygon((cx, cy), (cx - 0.13, cy - 0.4), (cx + 0.13, cy - 0.4)))
        s.add(NEAR_LIMB, claw, s.limb)
    shell = f.ellipse(0, 0.3, 0.66, 0.38)
    s.add(BODY, shell, s.main)
    s.patch(f.ellipse(0, 0.6, 0.5, 0.2), shell)
    return Anchors(
        (0.06, 0.24, 0.3), (0.03, -0.06, 0.36), (0, 0.15),
        _fan(0, 0.3, 0.62, 0.36, 200, 340), (0, 0.58, 0.5), (0.86, 0.28),
    )  # fmt: skip


def snail(s: Sketch) -> Anchors:
    f = s.frame
    foot = smooth_union(
        f.capsule(-0.72, GROUND - 0.1, 0.4, GROUND - 0.12, 0.1, 0.15), f.capsule(0.42, 0.6, 0.56, 0.02, 0.17, 0.2), 0.2
    )
    s.add(BODY, foot, s.main)
    for x in (0.44, 0.74):
        s.add(BACK, f.capsule(0.56, 0, x, -0.4 + 0.04 * s.stride, 0.045), s.main)
        s.add(BODY, f.circle(x, -0.42 + 0.04 * s.stride, 0.08), s.main)
    shell = f.circle(-0.16, 0.16, 0.5)
    s.add(BODY + 0.2, shell, s.limb if s.two_coloured else mix(s.main, WHITE, 0.25))
    for radius, start, end in ((0.34, -2.6, 1.6), (0.19, 0.4, 5.0)):
        s.add(PATTERN, f.arc(-0.16, 0.16, radius, start, end, 0.035), mix(s.main, INK, 0.45), line=False, shade=0)
    return Anchors(
        (0.56, 0.08, 0.2), (0.56, -0.12, 0.22), (-0.16, 0.1),
        _fan(-0.16, 0.16, 0.5, 0.5, 185, 300), (-0.1, 0.66, 0.5), (0.84, 0.44),
    )  # fmt: skip


def stump(s: Sketch) -> Anchors:
    f = s.frame
    trunk = f.polygon((-0.4, -0.5), (0.44, -0.5), (0.46, 0.4), (0.72, GROUND), (-0.68, GROUND), (-0.44, 0.4), r=0.03)
    s.add(BODY, trunk, s.main)
    for x in (-0.3, -0.1, 0.34):
        s.patch(f.capsule(x, 0.42, x * 1.3, 0.66, 0.04), trunk, mix(s.main, INK, 0.35))
    s.patch(f.box(-0.02, 0.56, 0.8, 0.1), trunk)
    s.add(BODY + 0.3, f.ellipse(0.02, -0.52, 0.43, 0.15), s.belly)
    s.add(
        PATTERN + 0.1, np.abs(f.ellipse(0.02, -0.52, 0.22, 0.07)) - 0.022, mix(s.belly, INK, 0.4), line=False, shade=0
    )
    s.add(FAR_LIMB, f.capsule(-0.4, 0, -0.76, -0.2 + 0.08 * s.stride, 0.09, 0.06), s.main)
    s.add(NEAR_LIMB, f.ellipse(-0.84, -0.28 + 0.08 * s.stride, 0.14, 0.09, 0.7), (112, 186, 74))
    return Anchors(
        (0.06, -0.02, 0.33), (0.02, -0.56, 0.34), (0, 0),
        ((-0.46, 0.42, -1, 0), (-0.42, 0.16, -1, -0.1), (-0.42, -0.28, -1, -0.3), (-0.3, -0.56, -0.4, -1)),
        (0, 0.66, 0.56), (0.72, 0.2),
    )  # fmt: skip


def cat(s: Sketch) -> Anchors:
    f = s.frame
    tail = np.minimum(
        f.capsule(-0.6, 0.3, -0.84, 0, 0.075), f.capsule(-0.84, 0, -0.74, -0.34 + 0.08 * s.stride, 0.075, 0.06)
    )
    s.add(BACK, tail, s.limb)
    for i, x in enumerate((-0.5, -0.28, 0.14, 0.36)):
        swing = 0.1 * s.stride * (-1) ** i
        s.add(FAR_LIMB if i % 2 else BODY + 0.05, f.capsule(x, 0.4, x + swing, GROUND - 0.08, 0.1), s.limb)
    body = f.capsule(-0.42, 0.34, 0.22, 0.32, 0.28)
    s.add(BODY, body, s.main)
    for x in (-0.42, -0.2):
        s.patch(f.capsule(x, 0.02, x - 0.04, 0.3, 0.05), body)
    for x in (0.12, 0.62):
        s.add(
            BODY + 0.1,
            f.polygon((x - 0.14, -0.36), (x + 0.14, -0.36), (x + (0.06 if x > 0.3 else -0.06), -0.72), r=0.02),
            s.limb,
        )
    s.add(BODY + 0.2, f.ellipse(0.37, -0.14, 0.4, 0.34), s.main)
    s.add(PATTERN, f.ellipse(0.43, 0.02, 0.18, 0.11), s.belly, line=False)
    return Anchors(
        (0.41, -0.15, 0.27), (0.36, -0.44, 0.26), (-0.25, 0.15),
        tuple((x, 0.08, -0.2, -1) for x in (-0.58, -0.4, -0.22, -0.06)), (-0.1, 0.56, 0.42), (0.8, 0.36),
    )  # fmt: skip


def beetle(s: Sketch) -> Anchors:
    f = s.frame
    for side in (-1, 1):
        for k in range(3):
            y = 0.05 + 0.24 * k
            s.add(
                FAR_LIMB,
                f.capsule(side * 0.4, y, side * 0.84, y + 0.1 + 0.05 * s.stride * (-1) ** k, 0.065, 0.045),
                s.limb,
            )
    for x in (-0.16, 0.28):
        s.add(BACK, np.minimum(f.capsule(0.06, -0.45, x, -0.78, 0.035), f.circle(x, -0.8, 0.06)), s.limb)
    s.add(BODY, f.ellipse(0.05, -0.36, 0.36, 0.3), s.limb)
    shell = f.ellipse(0, 0.32, 0.58, 0.48)
    s.add(BODY + 0.2, shell, s.main)
    s.patch(f.capsule(0, -0.2, 0, 0.8, 0.025), shell, mix(s.main, INK, 0.6))
    for x, y in ((-0.3, 0.14), (0.3, 0.14), (-0.26, 0.5), (0.26, 0.5)):
        s.patch(f.circle(x, y, 0.11), shell)
    return Anchors(
        (0.07, -0.36, 0.24), (0.05, -0.62, 0.26), (0, 0.1),
        _fan(0, 0.32, 0.56, 0.46, 150, 220), (0, 0.7, 0.4), (0.78, -0.02),
    )  # fmt: skip


def worm(s: Sketch) -> Anchors:
    f = s.frame
    bend = 0.07 * s.stride
    for k, (x, y, r) in enumerate(
        ((-0.66, 0.56, 0.2), (-0.36, 0.5 - bend, 0.26), (-0.02, 0.46, 0.3), (0.16, 0.16 + bend, 0.33))
    ):
        s.add(BODY + 0.05 * k, f.circle(x, y, r), s.main if k % 2 else s.belly)
        if k < 3:
            s.add(FAR_LIMB, f.ellipse(x, GROUND - 0.04, 0.1, 0.07), s.limb)
    s.add(BODY + 0.3, f.circle(0.2, -0.24, 0.4), s.main)
    return Anchors(
        (0.25, -0.24, 0.31), (0.2, -0.6, 0.3), (-0.1, 0.1),
        ((-0.7, 0.38, -0.4, -1), (-0.42, 0.26, -0.3, -1), (-0.16, 0.1, -0.8, -0.7), (-0.16, -0.34, -1, -0.3)),
        (-0.1, 0.64, 0.44), (0.72, 0.26),
    )  # fmt: skip


def frog(s: Sketch) -> Anchors:
    f = s.frame
    for side in (-1, 1):
        s.add(FAR_LIMB, f.ellipse(side * 0.56, 0.44, 0.26, 0.2, side * 0.6), s.limb)
        s.add(FAR_LIMB + 0.1, f.ellipse(side * 0.66 + 0.05 * s.stride, GROUND - 0.06, 0.24, 0.09), s.limb)
        s.add(
            NEAR_LIMB,
            f.capsule(side * 0.26, 0.46, side * 0.24, GROUND - 0.08 - 0.08 * max(0, side * s.stride), 0.09),
            s.limb,
        )
        s.add(BODY, f.circle(0.04 + side * 0.32, -0.36, 0.2), s.main)
    body = smooth_union(f.ellipse(0, 0.32, 0.52, 0.4), f.ellipse(0.04, -0.04, 0.6, 0.38), 0.2)
    s.add(BODY + 0.1, body, s.main)
    s.patch(f.ellipse(0.03, 0.42, 0.36, 0.28), body)
    return Anchors(
        (0.07, -0.08, 0.36), (0.04, -0.44, 0.24), (0, 0.1),
        _fan(-0.02, 0.14, 0.58, 0.5, 165, 225), (0, 0.64, 0.42), (0.8, 0.14),
    )  # fmt: skip


def flame(s: Sketch) -> Anchors:
    f = s.frame
    sway = 0.08 * s.stride
    fire = f.circle(0, 0.26, 0.5)
    for x, y, tx, ty, r in (
        (-0.3, 0.2, -0.58, -0.36, 0.24),
        (0.05, 0, 0.04, -0.84, 0.34),
        (0.34, 0.2, 0.6, -0.3, 0.22),
    ):
        fire = smooth_union(fire, f.capsule(x, y, tx + sway, ty, r, 0.03), 0.22)
    s.add(BODY, fire, s.main)
    core = f.circle(0.04, 0.36, 0.33)
    for x, tx in ((-0.1, -0.24), (0.16, 0.22)):
        core = smooth_union(core, f.capsule(x, 0.2, tx + sway, -0.16, 0.16, 0.03), 0.2)
    s.add(PATTERN, core, s.belly, line=False, shade=0.4)
    return Anchors(
        (0.07, 0.26, 0.32), (0.04, -0.42, 0.24), (0, 0.15),
        _fan(0, 0.24, 0.5, 0.5, 130, 200), (0, 0.66, 0.4), (0.76, 0.34),
    )  # fmt: skip


def star(s: Sketch) -> Anchors:
    f = s.frame
    shape = f.star(0, 0, 0.8, 0.4, 5, 0.12 * s.stride) - 0.09
    s.add(BODY, shape, s.main)
    s.patch(f.star(0.02, 0.04, 0.5, 0.25, 5, 0.12 * s.stride) - 0.08, shape)
    return Anchors(
        (0.04, 0.02, 0.29), (0, -0.64, 0.18), (0, 0),
        ((-0.56, 0.05, -0.6, 0.8), (-0.5, -0.32, -0.4, -1), (0.46, -0.34, 0.4, -1), (0, 0.52, 0, 1)),
        (0, 0.5, 0.4), (0.76, 0.24),
    )  # fmt: skip


def dragon(s: Sketch) -> Anchors:
    f = s.frame
    wag = 0.08 * s.stride
    tail = smooth_union(
        f.capsule(-0.2, 0.5, -0.66, 0.5, 0.2, 0.12), f.capsule(-0.66, 0.5, -0.94, 0.16 + wag, 0.12, 0.05), 0.1
    )
    s.add(BACK, tail, s.main)
    s.add(BEHIND + 2.1, f.polygon((-0.94, 0.22 + wag), (-1.06, -0.06 + wag), (-0.8, 0.06 + wag), r=0.02), s.limb)
    s.feet((-0.2, 0.24), GROUND - 0.08, 0.16)
    body = smooth_union(f.ellipse(-0.02, 0.38, 0.42, 0.36), f.capsule(0.06, 0.2, 0.2, -0.3, 0.26, 0.2), 0.25)
    s.add(BODY, body, s.main)
    s.patch(smooth_union(f.ellipse(0.12, 0.42, 0.24, 0.26), f.capsule(0.2, 0.2, 0.32, -0.16, 0.13, 0.1), 0.2), body)
    head = smooth_union(f.ellipse(0.2, -0.42, 0.34, 0.28), f.ellipse(0.5, -0.28, 0.26, 0.16), 0.15)
    s.add(BODY + 0.2, head, s.main)
    s.add(FACE + 0.1, f.circle(0.64, -0.34, 0.03), INK, line=False, shade=0)
    for x, y in ((-0.12, -0.58), (-0.18, -0.34)):
        s.add(BACK, f.polygon((x + 0.1, y - 0.06), (x - 0.14, y - 0.08), (x + 0.08, y + 0.12), r=0.02), s.limb)
    return Anchors(
        (0.22, -0.42, 0.24), (0.16, -0.66, 0.26), (-0.1, 0.15),
        ((-0.12, 0.02, -1, -0.5), (-0.36, 0.24, -0.7, -1), (-0.6, 0.38, -0.4, -1), (-0.8, 0.2, -1, -0.6)),
        (0, 0.66, 0.36), (0.66, 0.26),
    )  # fmt: skip


BODY_PLANS: dict[str, Callable[[Sketch], Anchors]] = {
    plan.__name__: plan
    for plan in (
        slime, bear, snake, spider, bird, fish, golem, ghost, crab,
        snail, stump, cat, beetle, worm, frog, flame, star, dragon,
    )
}  # fmt: skip
