"""A contact sheet: images with their references beside them and their prompts below, on one white page.

Which are the worst is read from the per-image CSV that the scorer writes (`python -m scorer … --csv FILE`).
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from submission import commands
from submission.csv_text import from_cell, read_table
from submission.errors import CompetitionError, MissingPart, Problem, UsageError, listing
from submission.images import ImageProblem
from submission.metrics import EXTRA_METRICS, METRICS, Metric
from submission.safe_read import NotReadable, read_regular
from submission.sheet_text import cut, font, largest, legible, wrap
from submission.submission import Submission

TILE = 128  # pixels that one image gets
_GAP, _MARGIN, _PADDING, _BETWEEN, _LEADING = 14, 36, 10, 9, 5
_CAPTION = 12  # pixels of the prompts' letters
_ACCENT = "#a3341f"
_INK, _QUIET, _RULE, _PAGE, _ABSENT = "#1d1d1f", "#77777c", "#e3e3e8", "#ffffff", "#f4f4f6"


def spread(count: int, n: int) -> list[int]:
    """`n` indices spread evenly over range(count), the same ones every time; all of them when there are fewer."""
    n = min(n, count)
    return [index * count // n for index in range(n)]


def draw_sheet(
    submission: Submission,
    *,
    n: int = 64,
    columns: int | None = None,
    references: bool = True,
    name: str | None = None,
    ranking: Ranking | None = None,
) -> Image.Image:
    """Draw `n` images of a submission, which may be incomplete, spread evenly over the prompts; or those of `ranking`.

    `columns` defaults to about the shape of a page twice as wide as high. `references=False` leaves the references
    out; they are left out as well when this machine has none. `name` is the title: by default the manifest's model,
    else the folder's name.
    """
    competition = submission.competition
    real = None
    with contextlib.suppress(MissingPart, CompetitionError):
        real = competition.references() if references else None
    caption = font(_CAPTION)
    width = TILE * 2 + _BETWEEN if real else TILE
    prompts = {prompt.image_name: prompt for prompt in competition.prompts}
    values = dict(ranking.images) if ranking else {}
    images = values if ranking else [competition.prompts[index].image_name for index in spread(len(prompts), n)]
    cells = []

    def drawn(image: str) -> np.ndarray:
        return submission.read(image)[1]

    for image in images:
        lines = [(line, _INK) for line in wrap(legible(prompts[image].text[:400]), caption, width, 4 if real else 7)]
        if ranking:
            lines.insert(0, (f"{ranking.metric.label} {ranking.metric.text(values[image])}", _ACCENT))
        pictures = [_picture(drawn, image) if image in submission.names else "missing"]
        if real:
            pictures.append(_picture(real.read, image))
        cells.append((pictures, lines))
    columns = min(columns or _columns(len(cells), width), len(cells))
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    line_height = _CAPTION + _LEADING
    heights = [TILE + 2 * _PADDING + 6 + line_height * max(len(lines) for _, lines in row) for row in rows]
    head = 104
    cell_width = width + 2 * _PADDING
    page_width = 2 * _MARGIN + columns * cell_width + (columns - 1) * _GAP
    page = Image.new("RGB", (page_width, head + sum(heights) + _GAP * (len(rows) - 1) + _MARGIN), _PAGE)
    draw = ImageDraw.Draw(page)
    title, facts = _heading(submission, len(cells), name, ranking, pairs=real is not None)
    for text, sizes, base, colour in ((title, (32, 28, 24, 20), 60, _INK), (facts, (15, 14, 13, 12, 11), 86, _QUIET)):
        line = legible(text)
        letters = font(largest(line, sizes, page.width - 2 * _MARGIN))
        draw.text((_MARGIN, base), cut(line, letters, page.width - 2 * _MARGIN), font=letters, fill=colour, anchor="ls")
    top = head
    for row, height in zip(rows, heights, strict=True):
        for column, (pictures, lines) in enumerate(row):
            left = _MARGIN + column * (cell_width + _GAP)
            draw.rounded_rectangle((left, top, left + cell_width - 1, top + height - 1), 8, outline=_RULE)
            for place, picture in enumerate(pictures):
                _draw_picture(page, draw, picture, (left + _PADDING + place * (TILE + _BETWEEN), top + _PADDING))
            if real:
                middle = left + _PADDING + TILE + _BETWEEN // 2
                draw.line((middle, top + _PADDING, middle, top + _PADDING + TILE - 1), fill=_RULE)
            for number, (line, colour) in enumerate(lines):
                at = (left + _PADDING, top + _PADDING + TILE + 8 + number * line_height)
                draw.text(at, line, font=caption, fill=colour)
        top += height + _GAP
    return page


def sheet_bytes(page: Image.Image, *, small: bool = False) -> bytes:
    """The PNG file of a sheet; `small`: in the 256 colours that suit it best."""
    file = io.BytesIO()
    if small:
        page = page.quantize(256, dither=Image.Dither.NONE)
    page.save(file, "PNG", optimize=True)
    return file.getvalue()


def _columns(count: int, width: int) -> int:
    cell = (width + 2 * _PADDING + _GAP, TILE + 2 * _PADDING + _GAP + 60)
    ideal = math.sqrt(count * 1.5 * cell[1] / cell[0])

    def badness(columns: int) -> float:
        empty = -count % columns  # places left in the last row
        return abs(math.log(columns / ideal)) + 4 * empty / count

    return min(range(1, count + 1), key=badness)


def _picture(read: Callable[[str], np.ndarray], name: str) -> Image.Image | str:
    """What is read of the image `name`, or why there is nothing."""
    try:
        return Image.fromarray(read(name))
    except (ImageProblem, CompetitionError):
        return "not readable"


def _draw_picture(
    page: Image.Image, draw: ImageDraw.ImageDraw, picture: Image.Image | str, corner: tuple[int, int]
) -> None:
    if isinstance(picture, str):
        draw.rectangle((*corner, corner[0] + TILE - 1, corner[1] + TILE - 1), fill=_ABSENT)
        middle = (corner[0] + TILE / 2, corner[1] + TILE / 2)
        draw.text(middle, picture, font=font(_CAPTION), fill=_QUIET, anchor="mm")
        return
    scale = TILE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    resized = picture.resize(size, Image.Resampling.LANCZOS)
    page.paste(resized, (corner[0] + (TILE - size[0]) // 2, corner[1] + (TILE - size[1]) // 2))


def _heading(
    submission: Submission, count: int, name: str | None, ranking: Ranking | None, *, pairs: bool
) -> tuple[str, str]:
    """The title, and the line of facts below it; `pairs`: the images stand beside their references."""
    manifest, competition = submission.manifest, submission.competition
    drawn_by = manifest.model if manifest else ""
    title = (name or "").strip() or drawn_by or submission.path.resolve().name
    facts = [competition.title, f"{count} of {len(competition.prompts)} images"]
    if ranking:
        facts[1] = f"the {count} worst by {ranking.metric.label} {ranking.metric.arrow} of {len(competition.prompts)}"
    if pairs:
        facts.append("left: drawn from the prompt, right: reference")
    if drawn_by not in ("", title):
        facts.append(drawn_by)
    if manifest:
        facts.append(f"seed {manifest.seed}")
    return title[:400], " · ".join(facts)


_MAX_BYTES = 2**30
_NOT_NUMBERS = ("image_name", "prompt")


@dataclass(frozen=True)
class Ranking:
    """Images with their values of one metric, the worst first."""

    metric: Metric
    images: tuple[tuple[str, float], ...]


def worst(path: Path, metric: str, n: int, names: Sequence[str]) -> Ranking:
    """The `n` images of `names` with the worst values of `metric` in the per-image CSV; equal ones in prompt order.

    Raises UsageError when the file is none, lacks the column (it says which there are), or is of other images.
    """
    problems: list[Problem] = []
    writer = f"`{commands.module('scorer')} … --csv FILE`"
    try:
        data = read_regular(path, _MAX_BYTES, follow=True)
    except NotReadable as error:
        raise UsageError(f"{path}: {error}; {writer} writes the values of each image") from None
    table = read_table(data, lambda header: "image_name" in header, problems)
    if table is None or problems or "image_name" not in table.header:
        details = f"\n{listing(problems)}" if problems else ""
        raise UsageError(f"{path}: is not a per-image CSV, as {writer} writes it{details}")
    columns = [column for column in table.header if column not in _NOT_NUMBERS]
    if metric not in columns:
        raise UsageError(f"{path} has no column {metric!r}; it has: {', '.join(columns) or 'none'}")
    # What else there is are shares of what was asked for.
    row = (METRICS | EXTRA_METRICS).get(metric) or Metric(metric, metric, higher_is_better=True, digits=2)
    values: dict[str, float] = {}
    place, value_place = table.header.index("image_name"), table.header.index(metric)
    for line, cells in table.rows:
        try:
            value = float(cells[value_place])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            problems.append(Problem(f"line {line}", f"{metric} is {cells[value_place]!r}, not a number"))
        values[from_cell(cells[place])] = value
    if problems:
        raise UsageError(f"{path}: is not a per-image CSV\n{listing(problems)}")
    if not values:
        raise UsageError(f"{path} has the values of no image; {writer} writes them")
    order = {name: number for number, name in enumerate(names)}
    if foreign := sorted(values.keys() - order.keys()):
        raise UsageError(f"{path} is of other images than the prompts name, such as {foreign[0]!r}")
    ranked = sorted(values, key=lambda name: (values[name] if row.higher_is_better else -values[name], order[name]))
    return Ranking(row, tuple((name, values[name]) for name in ranked[:n]))
