"""The drawing of the bestiary: a world of monsters with the data layout of the real course competition.

`competitions/bestiary/prepare.py` runs it. It needs numpy and Pillow only, and draws the same world every time.

    world.py      what a monster is, and which monsters each split holds
    captions.py   how a monster is described in words
    shapes.py     signed distances of simple shapes, and the canvas that paints them
    bodies/       the body plans: beasts, crawlers, spirits
    features.py   what a body wears: horns, wings, crown, face ...
    items.py      what a hand holds
    poses.py      what an action does to the pose, and its effects
    draw.py       a monster in a pose -> 64 x 64 RGB
"""
