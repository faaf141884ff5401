"""A training set as a CSV and images: a column with the image's name, and the caption or what it is made of.

The CSV is `train.csv`, or the only one in the folder; the images lie in `train/` or beside it. Several rows of one
image are its captions. Without a caption's column the other columns make it, as in the Brainrot course, whose
`train.csv` says `id,animal,object` and whose prompts say "a shark and a sneaker".
"""

from __future__ import annotations

import re
import string
from pathlib import Path

from submission.csv_text import find_column, read_table
from submission.errors import Problem, UsageError
from submission.image_names import SUFFIXES, why_unsafe, with_suffix
from submission.safe_read import NotReadable, read_regular

MAX_BYTES = 256 * 2**20
IMAGE_COLUMNS = ("image_id", "image_name", "image", "file_name", "filename", "file", "name")  # beside `id`
CAPTION_COLUMNS = ("text_prompt", "caption", "text")  # beside `prompt`


def find(folder: Path) -> Path | None:
    """The folder's CSV, if it has one for training."""
    if (usual := folder / "train.csv").is_file():
        return usual
    found = sorted(folder.glob("*.csv"))
    return found[0] if len(found) == 1 else None


def read(path: Path, caption: str | None) -> tuple[dict[str, list[str]], dict[str, Path], list[Problem]]:
    """Of each image its captions and its file, by its name and in the CSV's order; and all that is wrong.

    Args:
        caption: a caption of columns, such as "a {animal} and a {object}"; None: the CSV's own, or of the columns.

    Raises:
        UsageError: `caption` names a column that is not there.
    """
    problems: list[Problem] = []
    try:
        data = read_regular(path, MAX_BYTES, follow=True)
    except NotReadable as error:
        return {}, {}, [Problem(path.name, str(error))]
    table = read_table(data, lambda header: find_column(header, "id", IMAGE_COLUMNS)[0] is not None, problems)
    name_column, why_not = find_column(table.header if table else (), "id", IMAGE_COLUMNS)
    if table is None or name_column is None:
        return {}, {}, problems or [Problem(path.name, why_not, "it names the image of each row")]
    own, _ = find_column(table.header, "prompt", CAPTION_COLUMNS)
    others = " and ".join(f"a {{{column}}}" for column in table.header if column != name_column)
    template = caption or (f"{{{own}}}" if own else others)
    home = path.parent / "train" if (path.parent / "train").is_dir() else path.parent
    files = (file for file in sorted(home.iterdir()) if not file.name.startswith("."))
    there = {file.name: file for file in files if file.name.lower().endswith(SUFFIXES)}
    captions: dict[str, list[str]] = {}
    for line, cells in table.rows:
        row = dict(zip(table.header, cells, strict=True))
        name = with_suffix(row[name_column])
        try:
            text = template.format_map(row)
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            columns = ", ".join(table.header)
            raise UsageError(f"--caption {template!r} does not fit the columns {columns} ({error})") from None
        if own is None:
            text = re.sub(r"\b([Aa]) (?=[aeiouAEIOU])", r"\1n ", text)  # an article goes by the next letter
        needed = [field for _, field, _, _ in string.Formatter().parse(template) if field]
        if reason := why_unsafe(name):
            problems.append(Problem(f"{path.name}, line {line}", f"the image name {name!r} {reason}"))
        elif name not in there:
            problems.append(Problem(name, f"is in {path.name} but not in {home.name}/"))
        elif not text.strip() or not all(row[field] for field in needed):
            problems.append(Problem(name, f"has no caption in {path.name}"))
        else:
            captions.setdefault(name, []).append(text.strip())
    named = {with_suffix(cells[table.header.index(name_column)]) for _, cells in table.rows}
    problems += [Problem(f"{home.name}/{name}", f"is in no row of {path.name}") for name in there if name not in named]
    if not table.rows:
        problems.append(Problem(path.name, "has no rows"))
    return captions, there, problems
