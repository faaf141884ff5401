"""The drawing of the bestiary: a world of monsters with the data layout of the real course competition.

`competitions/bestiary/prepare.py` runs it. It needs numpy and Pillow only, and draws the same world every time. From
`world.py`, which says what monsters there are, `captions.py` makes sentences and `draw.py` pictures.
"""
