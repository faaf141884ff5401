"""A page that shows inpainting: reference images, what is kept of each, and what two prompts make of the rest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image, ImageDraw

from baselines.glide.inpainting import Inpainter
from submission import Competition
from submission.sheet import TILE, spread
from submission.sheet_text import font, legible, wrap

HEADINGS = ("original", "kept", "its own prompt", "another one's prompt")
_HOLE, _INK, _PAGE, _QUIET = 160, "#1d1d1f", "#ffffff", "#77777c"
_MARGIN, _GAP, _LINE, _LINES = 24, 12, 17, 5


def holes(size: int, index: int) -> Bool[np.ndarray, "size size"]:
    """What is drawn anew of the image number `index`, in turns: the upper half, the right half, the middle, all."""
    at = np.arange(size)
    middle = (at >= size // 4) & (at < size * 3 // 4)
    every = np.ones(size, bool)
    rows, columns = ((at < size // 2, every), (every, at >= size // 2), (middle, middle), (every, every))[index % 4]
    return rows[:, None] & columns[None, :]


def draw_sheet(
    inpainter: Inpainter,
    competition: Competition,
    *,
    count: int = 8,
    seed: int = 0,
    on_step: Callable[[], None] = lambda: None,
) -> Image.Image:
    """`count` rows of a competition's references, spread over it; each is filled by its prompt and by the next row's.

    Raises:
        MissingPart: the competition has no references here.
        UsageError: they are not of the size that the weights draw.
    """
    references = competition.references()
    prompts = [competition.prompts[index] for index in spread(len(competition.prompts), count)]
    rows = []
    for index, prompt in enumerate(prompts):
        image = references.read(prompt.image_name)
        hole = holes(len(image), index)
        texts = (prompt.text, prompts[(index + 1) % len(prompts)].text)
        filled = [inpainter.inpaint(image, hole, text, seed + index, on_step) for text in texts]
        kept = np.where(hole[..., None], np.uint8(_HOLE), image)
        rows.append(([image, kept, *filled], texts))
    return _page(rows)


def _page(rows: list[tuple[list[UInt8[np.ndarray, "h w 3"]], tuple[str, str]]]) -> Image.Image:
    letters = font(12)
    columns = len(HEADINGS)
    height = TILE + _LINE * _LINES + _GAP
    size = (2 * _MARGIN + columns * TILE + (columns - 1) * _GAP, 2 * _MARGIN + 2 * _LINE + len(rows) * height)
    page = Image.new("RGB", size, _PAGE)
    draw = ImageDraw.Draw(page)
    lefts = [_MARGIN + column * (TILE + _GAP) for column in range(columns)]
    for left, heading in zip(lefts, HEADINGS, strict=True):
        draw.text((left, _MARGIN), heading, font=letters, fill=_QUIET)
    for index, (pictures, texts) in enumerate(rows):
        top = _MARGIN + 2 * _LINE + index * height
        for left, picture in zip(lefts, pictures, strict=True):
            page.paste(Image.fromarray(picture).resize((TILE, TILE), Image.Resampling.NEAREST), (left, top))
        for left, text in zip(lefts[2:], texts, strict=True):
            for number, line in enumerate(wrap(legible(text[:400]), letters, TILE, _LINES)):
                draw.text((left, top + TILE + 4 + number * _LINE), line, font=letters, fill=_INK)
    return page
