"""The body plans: each draws one kind of body into a sketch, in its frame, and says where things attach.

A body fits in about [-1, 1] x [-1, 1] units, looks at the viewer and slightly to the right, and stands on GROUND.
Its anchors are its face, top, back, spine, base and hand, in this order.
"""

from __future__ import annotations

from collections.abc import Callable

from competitions.bestiary.artist.bodies.beasts import bear, bird, cat, dragon, fish, frog, snake
from competitions.bestiary.artist.bodies.crawlers import beetle, crab, snail, spider, worm
from competitions.bestiary.artist.bodies.spirits import flame, ghost, golem, slime, star, stump
from competitions.bestiary.artist.shapes import Frame
from competitions.bestiary.artist.sketch import Anchors, Sketch

BODY_PLANS: dict[str, Callable[[Sketch, Frame], Anchors]] = {
    plan.__name__: plan
    for plan in (
        slime, bear, snake, spider, bird, fish, golem, ghost, crab,
        snail, stump, cat, beetle, worm, frog, flame, star, dragon,
    )
}  # fmt: skip
