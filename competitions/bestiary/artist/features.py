"""What a body wears, and its face: eyes and mouth follow the mood that the action gives."""

from __future__ import annotations

import math

import numpy as np

from competitions.bestiary.artist.shapes import mix
from competitions.bestiary.artist.sketch import BONE, INK, WHITE, Anchors, Layer, Sketch

GOLD = (250, 200, 52)
CAP_RED = (206, 52, 74)
STEEL = (208, 216, 230)
SMALLEST_FACE = 0.3  # of a skull or a giant eye, so that it can be seen on a small head


def horns(s: Sketch, a: Anchors) -> None:
    x, y, w = a.top
    for side in (-1, 1):
        root = (x + side * w * 0.62, y + 0.12)
        bend = (root[0] + side * 0.17, root[1] - 0.22)
        tip = (bend[0] - side * 0.02, bend[1] - 0.24)
        shape = np.minimum(s.frame.capsule(*root, *bend, 0.12, 0.09), s.frame.capsule(*bend, *tip, 0.09, 0.03))
        s.add(Layer.HEADGEAR, shape, BONE)


def wings(s: Sketch, a: Anchors) -> None:
    x, y = a.back
    skin = mix(s.second or s.main, (90, 70, 110), 0.3)
    lift = 0.18 if s.mood in ("angry", "glow", "happy") else 0.0
    for side in (-1, 1):
        tip = (x + side * 1.02, y - 0.62 - lift)
        fingers = ((x + side * 1.08, y - 0.12 - lift), (x + side * 0.86, y + 0.1), (x + side * 0.56, y + 0.2))
        notches = ((x + side * 0.88, y - 0.2 - lift), (x + side * 0.66, y - 0.02))
        outline = (
            (x + side * 0.1, y - 0.1), (x + side * 0.52, y - 0.66 - lift), tip, fingers[0], notches[0], fingers[1],
            notches[1], fingers[2], (x + side * 0.1, y + 0.16),
        )  # fmt: skip
        s.add(Layer.WINGS, s.frame.polygon(*outline, r=0.02), skin, shade=0.6)
        for fx, fy in fingers[:2]:
            bone = s.frame.capsule(x + side * 0.46, y - 0.5 - lift, fx - side * 0.06, fy - 0.04, 0.018)
            s.mark(Layer.WINGS + 0.1, bone, mix(skin, INK, 0.5))


def spikes(s: Sketch, a: Anchors) -> None:
    for x, y, dx, dy in a.spine:
        n = math.hypot(dx, dy)
        dx, dy = dx / n, dy / n
        rx, ry, tip = x - 0.06 * dx, y - 0.06 * dy, (x + 0.4 * dx, y + 0.4 * dy)
        spike = s.frame.polygon((rx - 0.16 * dy, ry + 0.16 * dx), tip, (rx + 0.16 * dy, ry - 0.16 * dx))
        s.add(Layer.BACK + 0.5, spike, STEEL)


def tentacles(s: Sketch, a: Anchors) -> None:
    x, y, w = a.base
    colour = mix(s.main, (120, 40, 120), 0.35)
    for k in range(5):
        t = -1 + 0.5 * k
        root = (x + t * w * 0.8, y - 0.06)
        knee = (x + t * (w + 0.22), y + 0.16 + 0.06 * s.stride * (-1) ** k)
        tip = (x + t * (w + 0.46) + 0.12 * (t or 0.5), y + 0.42 - 0.24 * abs(t))
        shape = np.minimum(s.frame.capsule(*root, *knee, 0.13, 0.09), s.frame.capsule(*knee, *tip, 0.09, 0.045))
        s.add(Layer.FAR_LIMB + 0.5, shape, colour)
        sucker = s.frame.circle((root[0] + knee[0]) / 2, (root[1] + knee[1]) / 2 + 0.08, 0.04)
        s.mark(Layer.FAR_LIMB + 0.6, sucker, mix(colour, WHITE, 0.6))


def crown(s: Sketch, a: Anchors) -> None:
    x, y, w = a.top
    w = max(w, 0.26)
    points = (
        (x - w, y + 0.16), (x - w - 0.04, y - 0.24), (x - w * 0.48, y - 0.02), (x, y - 0.34),
        (x + w * 0.48, y - 0.02), (x + w + 0.04, y - 0.24), (x + w, y + 0.16),
    )  # fmt: skip
    s.add(Layer.HEADGEAR, s.frame.polygon(*points, r=0.02), GOLD)
    for dx, jewel in ((-0.55, (70, 120, 230)), (0, (220, 50, 60)), (0.55, (70, 120, 230))):
        s.add(Layer.HEADGEAR + 0.1, s.frame.circle(x + dx * w, y + 0.06, 0.055), jewel, line=False, shade=0.6)


def mushroom_cap(s: Sketch, a: Anchors) -> None:
    x, y, w = a.top
    w = max(w, 0.3) + 0.2
    cap = np.maximum(s.frame.ellipse(x, y + 0.1, w, 0.46), s.frame.y - (y + 0.12))
    s.add(Layer.HEADGEAR, s.frame.ellipse(x, y + 0.12, w * 0.92, 0.08), mix(BONE, INK, 0.1))
    s.add(Layer.HEADGEAR + 0.1, cap, CAP_RED)
    for dx, dy, r in ((-0.5, -0.04, 0.09), (0.05, -0.2, 0.11), (0.55, -0.05, 0.08)):
        s.add(Layer.HEADGEAR + 0.2, s.frame.circle(x + dx * w, y + dy, r), BONE, line=False, shade=0.4)


def _skull_mask(s: Sketch, x: float, y: float, r: float) -> None:
    cranium = s.frame.ellipse(x, y - 0.06 * r, r * 1.08, r)
    jaw = s.frame.box(x, y + 0.72 * r, r * 0.6, r * 0.4, 0.06)
    s.add(Layer.FACE - 0.2, np.minimum(cranium, jaw), BONE, shade=0.6)
    nose = s.frame.polygon((x, y + 0.12 * r), (x - 0.14 * r, y + 0.4 * r), (x + 0.14 * r, y + 0.4 * r))
    s.mark(Layer.FACE + 0.3, nose, INK)
    for dx in (-0.3, 0, 0.3):
        s.mark(Layer.FACE + 0.3, s.frame.capsule(x + dx * r, y + 0.66 * r, x + dx * r, y + 1.0 * r, 0.025), INK)


def _eye(s: Sketch, x: float, y: float, r: float, mood: str, side: int, skull: bool) -> None:
    """One eye of radius r; `side` is -1 for the left, +1 for the right, 0 for the only one."""
    f = s.frame
    if side == 0 and mood in ("dead", "hurt"):  # a giant eye stays a giant eye
        s.add(Layer.FACE + 0.3, f.ellipse(x, y, r * 0.92, r * 1.05), WHITE, shade=0)
        r *= 0.66
    if mood == "dead":
        h = r * 0.75
        cross = np.minimum(f.capsule(x - h, y - h, x + h, y + h, 0.04), f.capsule(x - h, y + h, x + h, y - h, 0.04))
        s.mark(Layer.FACE + 0.4, cross, INK)
    elif mood == "hurt":
        turn = side or 1
        tip, end = x - turn * r * 0.6, x + turn * r * 0.8
        chevron = np.minimum(f.capsule(end, y - r * 0.8, tip, y, 0.042), f.capsule(tip, y, end, y + r * 0.8, 0.042))
        s.mark(Layer.FACE + 0.4, chevron, INK)
    else:
        white, pupil = ((70, 54, 74), (255, 120, 60)) if skull else (WHITE, INK)
        if mood == "glow":
            white, pupil = (150, 255, 250), (20, 160, 190)
        s.add(Layer.FACE + 0.4, f.ellipse(x, y, r * 0.92, r * 1.05), white, shade=0)
        s.mark(Layer.FACE + 0.5, f.circle(x + r * 0.22, y + r * 0.12, r * (0.36 if skull else 0.5)), pupil)
        if not skull:
            s.mark(Layer.FACE + 0.55, f.circle(x + r * 0.02, y - r * 0.16, r * 0.18), WHITE)
        if mood == "angry":
            inner, outer = (x - side * r * 1.0, y - r * 0.35), (x + side * r * 1.1, y - r * 1.25)
            if side == 0:
                inner, outer = (x - r, y - r * 1.15), (x + r, y - r * 0.75)
            s.mark(Layer.FACE + 0.6, f.capsule(*inner, *outer, 0.05), INK)
        elif mood == "calm":
            lid = np.maximum(f.ellipse(x, y, r * 1.05, r * 1.18), f.y - (y - r * 0.05))
            s.add(Layer.FACE + 0.6, lid, mix(s.main, INK, 0.3) if not skull else BONE)


def _mouth(s: Sketch, x: float, y: float, r: float, mood: str) -> None:
    f = s.frame
    if mood in ("angry", "happy"):
        gape = np.maximum(f.ellipse(x, y, r * 0.5, r * 0.4), -(f.y - (y - r * 0.16)))
        s.add(Layer.FACE + 0.2, gape, (150, 30, 50), shade=0)
        if mood == "angry":
            for side in (-r, r):
                top, tip = y - r * 0.2, (x + side * 0.22, y + r * 0.14)
                s.mark(Layer.FACE + 0.3, f.polygon((x + side * 0.34, top), (x + side * 0.1, top), tip), WHITE)
    elif mood == "dead":
        s.mark(Layer.FACE + 0.2, f.capsule(x - r * 0.3, y, x + r * 0.3, y, 0.035), INK)
        s.add(Layer.FACE + 0.3, f.ellipse(x + r * 0.16, y + r * 0.18, r * 0.16, r * 0.24), (236, 110, 130), shade=0)
    elif mood == "hurt":
        s.add(Layer.FACE + 0.2, f.ellipse(x, y, r * 0.2, r * 0.26), (120, 30, 50), shade=0)
    elif mood == "calm":
        s.mark(Layer.FACE + 0.2, f.capsule(x - r * 0.28, y, x + r * 0.28, y, 0.035), INK)
    else:
        s.mark(Layer.FACE + 0.2, f.arc(x, y - r * 0.42, r * 0.5, math.pi * 0.2, math.pi * 0.8, 0.036), INK)


def draw_face(s: Sketch, a: Anchors, features: tuple[str, ...], beak: bool) -> None:
    """Eyes and mouth; `beak` bodies bring their own mouth."""
    x, y, r = a.face
    skull = "skull face" in features
    if skull:
        r = max(r, SMALLEST_FACE)
        _skull_mask(s, x, y, r)
    if "giant eye" in features:
        _eye(s, x, y - 0.12 * r, max(r * 0.86, SMALLEST_FACE), s.mood, 0, False)
        if not beak:
            _mouth(s, x, y + 0.95 * r, r * 0.8, s.mood)
        return
    eye = max(r * 0.36, 0.1)
    for side in (-1, 1):
        _eye(s, x + side * r * 0.48, y - r * 0.1, eye, s.mood, side, skull)
    if not beak and not skull:
        _mouth(s, x, y + r * 0.62, r, s.mood)


WORN = {
    "horns": horns,
    "wings": wings,
    "spikes": spikes,
    "tentacles": tentacles,
    "crown": crown,
    "mushroom cap": mushroom_cap,
}
