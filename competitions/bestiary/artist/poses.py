"""What an action does to the body's pose and face, and the effects drawn around it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from random import Random

import numpy as np

from competitions.bestiary.artist.shapes import Frame, Part, mix
from competitions.bestiary.artist.sketch import WHITE, Layer

GROUND = 0.82


@dataclass(frozen=True)
class Pose:
    """lean in radians clockwise; dx, dy in units; sx, sy squash; item_angle in radians; hand_up, hand_out in units."""

    lean: float = 0.0
    dx: float = 0.0
    dy: float = 0.0
    sx: float = 1.0
    sy: float = 1.0
    stride: float = 0.0
    mood: str = "open"
    item_angle: float = 0.2
    hand_up: float = 0.0
    hand_out: float = 0.0


def pose_of(action: str, rng: Random) -> Pose:
    """The action's pose, a little different each time."""

    def j(spread: float) -> float:  # jitter
        return rng.uniform(-spread, spread)

    lean, dx, dy, size = j(0.05), j(0.04), j(0.03), 1 + j(0.03)
    if action == "attack":
        lean, stride, angle = 0.24 + j(0.1), 0.6 + j(0.3), 0.9 + j(0.25)
        return Pose(lean, 0.04 + dx, dy, 1.04 * size, 0.97 * size, stride, "angry", angle, 0.05, 0.06)
    if action == "hit":
        lean, stride, angle = -0.26 + j(0.1), -0.4 + j(0.3), -0.5 + j(0.3)
        return Pose(lean, 0.08 + dx, dy, 0.97 * size, 1.02 * size, stride, "hurt", angle, -0.1, 0.04)
    if action == "die":
        return Pose(-1.45 + j(0.2), dx, 0.2 + dy, size, 0.95 * size, j(0.5), "dead", 0.3 + j(0.4), -0.1)
    if action == "move":
        lean, stride = 0.12 + j(0.05), rng.choice((-1, 1)) * (0.8 + j(0.2))
        return Pose(lean, 0.08 + dx, -0.04 + dy, size, size, stride, "open", 0.45 + j(0.2))
    if action == "jump":
        return Pose(lean, dx, -0.3 + dy, 0.95 * size, 1.06 * size, 0.9 + j(0.1), "happy", -0.2 + j(0.2), 0.24)
    if action == "skill":
        return Pose(lean, dx, -0.06 + dy, size, size, j(0.3), "glow", j(0.2), 0.3)
    if action == "stand":
        return Pose(lean * 0.4, dx, dy, 1.02 * size, 0.96 * size, 0.0, "calm", 0.06 + j(0.06), -0.1)
    return Pose(lean, dx, dy, size, size, j(0.25), "open", 0.25 + j(0.15))


_part = partial(Part, shade=0.0)


def _shadow(f: Frame, width: float, y: float = GROUND) -> Part:
    return _part(Layer.BEHIND - 2, f.ellipse(0, y, width, 0.11), (206, 204, 214), line=False)


def stand(f: Frame, rng: Random) -> list[Part]:
    return [_shadow(f, 0.7), _part(Layer.BEHIND - 1.5, f.ellipse(0, GROUND, 0.45, 0.06), (176, 172, 190), line=False)]


def attack(f: Frame, rng: Random) -> list[Part]:
    x, y, turn = 0.42 + rng.uniform(-0.05, 0.05), rng.uniform(-0.1, 0.1), rng.uniform(-0.25, 0.15)
    g = f.moved(x, y, turn)
    blade = np.maximum(g.circle(0, 0, 0.82), -g.ellipse(-0.22, 0, 0.78, 0.86))
    return [_shadow(f, 0.62), _part(Layer.HELD - 0.5, blade, (255, 238, 120), shade=0.3)]


def hit(f: Frame, rng: Random) -> list[Part]:
    x, y, turn = -0.62 + rng.uniform(-0.08, 0.06), -0.3 + rng.uniform(-0.16, 0.16), rng.uniform(0, 0.6)
    burst = _part(Layer.EFFECT, f.star(x, y, 0.46, 0.22, 7, turn), (250, 116, 40))
    core = _part(Layer.EFFECT + 0.1, f.star(x, y, 0.25, 0.13, 7, turn), (255, 240, 150), line=False)
    return [_shadow(f, 0.6), burst, core]


def die(f: Frame, rng: Random) -> list[Part]:
    x, y = -0.55 + rng.uniform(-0.12, 0.12), -0.64 + rng.uniform(-0.06, 0.06)
    soul = np.minimum(f.circle(x, y, 0.2), f.capsule(x, y, x - 0.1, y + 0.42, 0.17, 0.02))
    parts = [_shadow(f, 0.86), _part(Layer.EFFECT, soul, (206, 232, 250), shade=0.4)]
    for eye in (x - 0.07, x + 0.07):
        parts.append(_part(Layer.EFFECT + 0.1, f.circle(eye, y - 0.03, 0.04), (60, 70, 110), line=False))
    halo = np.abs(f.ellipse(x, y - 0.33, 0.17, 0.05)) - 0.03
    return [*parts, _part(Layer.EFFECT, halo, (250, 206, 70), line=False)]


def move(f: Frame, rng: Random) -> list[Part]:
    parts = [_shadow(f, 0.56)]
    for y, length in ((-0.3, 0.3), (0.02, 0.42), (0.34, 0.28)):
        start = -0.98 + rng.uniform(-0.04, 0.04)
        parts.append(_part(Layer.BEHIND - 1, f.capsule(start, y, start + length, y, 0.04), (150, 176, 206), line=False))
    for x, y, r in ((-0.72, 0.74, 0.14), (-0.96, 0.68, 0.1)):
        parts.append(_part(Layer.EFFECT, f.circle(x, y - rng.uniform(0, 0.05), r), (226, 218, 204)))
    return parts


def jump(f: Frame, rng: Random) -> list[Part]:
    parts = [_shadow(f, 0.36, 1.02)]
    for x, length in ((-0.34, 0.2), (0, 0.28), (0.34, 0.2)):
        x += rng.uniform(-0.03, 0.03)
        parts.append(_part(Layer.BEHIND - 1, f.capsule(x, 0.58, x, 0.6 + length, 0.045), (130, 186, 226), line=False))
    return parts


def skill(f: Frame, rng: Random) -> list[Part]:
    glow = (196, 120, 250)
    disc = _part(Layer.BEHIND - 2, f.circle(0, 0, 1.0), mix(glow, WHITE, 0.82), line=False)
    ring = _part(Layer.BEHIND - 1, np.abs(f.circle(0, 0, 0.98)) - 0.055, glow, line=False)
    parts, turn = [disc, ring], rng.uniform(0, 1.5)
    for k in range(4):
        a = turn + k * math.pi / 2
        parts.append(_part(Layer.EFFECT, f.star(0.96 * math.cos(a), 0.96 * math.sin(a), 0.22, 0.07, 4), (255, 226, 90)))
    return parts


EFFECTS = {"stand": stand, "attack": attack, "hit": hit, "die": die, "move": move, "jump": jump, "skill": skill}
