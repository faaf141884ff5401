"""A monster in a pose -> 64 x 64 RGB, nothing clipped at the border."""

from __future__ import annotations

from random import Random

import numpy as np

from competitions.bestiary.artist.bodies import BODY_PLANS
from competitions.bestiary.artist.features import WORN, draw_face
from competitions.bestiary.artist.items import hold
from competitions.bestiary.artist.poses import EFFECTS, pose_of
from competitions.bestiary.artist.shapes import SIZE, Canvas, Part
from competitions.bestiary.artist.sketch import PALETTE, Sketch, shaded
from competitions.bestiary.artist.world import Monster

UNIT = {"small": 19.0, "medium": 22.5, "large": 25.5}
MARGIN = 2  # pixels of white around everything
INSIDE = np.zeros((SIZE, SIZE), dtype=bool)
INSIDE[MARGIN:-MARGIN, MARGIN:-MARGIN] = True


def _parts(canvas: Canvas, monster: Monster, action: str, seed: str) -> list[Part]:
    """Everything that is painted, in the canvas's own frame."""
    build, rng = Random(monster.seed), Random(seed)
    wide, tall = build.uniform(0.92, 1.08), build.uniform(0.92, 1.08)  # this monster's own proportions
    tint = [build.uniform(-10, 10) for _ in range(3)]
    pose = pose_of(action, rng)
    frame = canvas.frame.moved(pose.dx, pose.dy, pose.lean, pose.sx * wide, pose.sy * tall)
    colours = [shaded(PALETTE[c], monster.shade) for c in monster.colours]
    red, green, blue = (float(np.clip(c + t, 0, 255)) for c, t in zip(colours[0], tint, strict=True))
    s = Sketch(frame, (red, green, blue), colours[1] if len(colours) > 1 else None, pose.stride, pose.mood)
    anchors = BODY_PLANS[monster.body](s, frame)
    for feature in monster.features:
        if feature in WORN:
            WORN[feature](s, anchors)
    draw_face(s, anchors, monster.features, beak=monster.body == "bird")
    hand = (anchors.hand[0] + pose.hand_out, anchors.hand[1] - pose.hand_up)
    hold(s, monster.item, hand, pose.item_angle - pose.lean * 0.4)
    return s.parts + (EFFECTS[action](canvas.frame, rng) if action != "main" else [])


def draw(monster: Monster, action: str, seed: str) -> np.ndarray:
    """One picture of the monster doing `action`: uint8 (64, 64, 3) on white.

    `seed` varies pose and effects and nothing that a caption names. A first look on a coarse grid finds what the parts
    cover; the view is then moved, and narrowed where it must be, until all of it lies MARGIN pixels inside the border.
    """
    unit = UNIT[monster.size] * Random(f"{seed}/size").uniform(0.96, 1.03)
    coarse = Canvas(unit, step=2.0)
    left, top, right, bottom = coarse.ink(_parts(coarse, monster, action, seed))
    room = SIZE - 2 * MARGIN
    unit = min(unit, room / (right - left), room / (bottom - top))
    while True:
        half = (SIZE / 2 - MARGIN) / unit
        canvas = Canvas(unit, min(max(0.0, right - half), left + half), min(max(0.0, bottom - half), top + half))
        picture: np.ndarray = np.rint(canvas.paint(_parts(canvas, monster, action, seed))).clip(0, 255).astype(np.uint8)
        if (picture[~INSIDE] == 255).all():
            return picture
        unit *= 0.97  # the coarse look missed a thin tip
