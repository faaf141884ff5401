"""Which picture is which prompt's: by name, by number, or by a table. What could be read in two ways is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from submission.csv_text import Table, from_cell, read_table
from submission.errors import Problem, UsageError, listing
from submission.image_names import clash_key, without_suffix
from submission.prompts import MAX_FILE_BYTES, Prompt
from submission.safe_read import NotReadable, read_regular

_FILE_COLUMNS = ("file", "file_name", "filename", "picture", "path", "source")
_PROMPT_COLUMNS = ("image_name", "image_id", "id", "prompt", "text_prompt", "caption", "text", "image", "target")
_SAY_HOW = (
    "rename the pictures as the prompts say, or give --order name (they are in the order of the prompts)"
    " or --mapping FILE.csv (columns file and image_name)"
)


class Matched(NamedTuple):
    """Image name -> file; `how`, in words; what is wrong."""

    files: dict[str, str]
    how: str
    problems: list[Problem]


def match(files: Sequence[str], prompts: Sequence[Prompt], *, in_order: bool = False) -> Matched:
    """Match by name, whatever the suffix; else by number; else, when asked to (`in_order`), by the order of names."""
    if in_order:
        ordered = sorted(files, key=_natural)
        if len(ordered) != len(prompts):
            what = f"there are {len(ordered)} pictures for {len(prompts)} prompts: their order says nothing"
            return Matched({}, "", [Problem("", what, _SAY_HOW)])
        return _in_order(ordered, prompts, "the order of their names")
    by_stem: dict[str, list[str]] = {}
    for file in files:
        by_stem.setdefault(clash_key(without_suffix(file)), []).append(file)
    found = {prompt.image_name: by_stem.get(clash_key(without_suffix(prompt.image_name)), []) for prompt in prompts}
    if not any(found.values()):
        if numbered := _by_number(files, prompts):
            return numbered
        what = f"no name of {len(files)} pictures, such as {files[0]}, is the name of one of {len(prompts)} images"
        return Matched({}, "", [Problem("", f"{what}, such as {prompts[0].image_name}", _SAY_HOW)])
    problems = []
    for name, some in found.items():
        if len(some) > 1:
            problems.append(Problem(name, f"could be {' or '.join(some)}", "keep one of them in the folder"))
        elif not some:
            problems.append(Problem(name, "has no picture", _SAY_HOW))
    if problems:
        used = {file for some in found.values() for file in some}
        what = "is no prompt's picture by its name"
        problems += [Problem(file, what, _SAY_HOW) for file in files if file not in used]
    return Matched({name: some[0] for name, some in found.items() if len(some) == 1}, "their names", problems)


def _in_order(files: Sequence[str], prompts: Sequence[Prompt], how: str) -> Matched:
    return Matched({prompt.image_name: file for prompt, file in zip(prompts, files, strict=True)}, how, [])


def _by_number(files: Sequence[str], prompts: Sequence[Prompt]) -> Matched | None:
    """By equal numbers where the prompts' names are numbers, such as 1.png and 000001.png; else by files that count
    from 0 or 1 through all prompts. None when the numbers do not say it, or say two things."""
    orders = _counts(files)
    names = [without_suffix(prompt.image_name) for prompt in prompts]
    if all(re.fullmatch(r"[0-9]+", name) for name in names):
        wanted = {int(name): prompt.image_name for name, prompt in zip(names, prompts, strict=True)}
        equal = [order for order in orders if order.keys() == wanted.keys()]
        if len(wanted) == len(prompts) and len(equal) == 1:
            return Matched({wanted[number]: file for number, file in equal[0].items()}, "their numbers", [])
        if any(order.keys() & wanted.keys() for order in orders):
            return None  # 0 … 23 for the images 1 … 24: the numbers, or the order?
    counting = [order for order in orders if set(order) in (set(range(len(prompts))), set(range(1, len(prompts) + 1)))]
    ways = {tuple(order[number] for number in sorted(order)) for order in counting}
    if len(ways) != 1:
        return None
    return _in_order(ways.pop(), prompts, "their numbers, which count through the prompts")


def _counts(files: Sequence[str]) -> list[dict[int, str]]:
    """For the first and the last number in the files' names: number -> file, where all files have a different one."""
    orders = []
    for which in (0, -1):
        numbers = [re.findall(r"[0-9]+", without_suffix(file)) for file in files]
        if all(numbers) and all(len(some[which]) < 19 for some in numbers):
            order = {int(some[which]): file for some, file in zip(numbers, files, strict=True)}
            if len(order) == len(files) and order not in orders:
                orders.append(order)
    return orders


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sorts img2 before img10."""
    parts = re.split(r"([0-9]+)", without_suffix(name))
    return [(1, int(part), "") if part.isdecimal() and part.isascii() else (0, 0, part) for part in parts]


def match_by_table(path: Path, files: Sequence[str], prompts: Sequence[Prompt]) -> Matched:
    """Match by a CSV that names a file and a prompt (by image name, id or text) in each row. Raises UsageError."""
    problems: list[Problem] = []
    try:
        data = read_regular(path, MAX_FILE_BYTES, follow=True)
    except NotReadable as error:
        raise UsageError(f"{path}: the mapping {error}") from None
    table = read_table(data, lambda header: len(header) > 1, problems, has_header=False)
    if table is None or problems or not table.rows:
        raise UsageError(f"{path}: is not a mapping of pictures to prompts\n{listing(problems) or '  it is empty'}")
    to_file = _one_each((without_suffix(file), file) for file in files) | {file: file for file in files}
    to_prompt = _lookup_of_prompts(prompts)
    file_column, prompt_column, rows = _columns(path, table, to_file, to_prompt)
    matched: dict[str, str] = {}
    used: dict[str, int] = {}
    for line, cells in rows:
        file, image = _find(to_file, cells[file_column]), _find(to_prompt, cells[prompt_column])
        if file is None:
            problems.append(Problem(f"line {line}", f"there is no picture {cells[file_column]!r}"))
        if image is None:
            problems.append(Problem(f"line {line}", f"no prompt, or more than one, is {cells[prompt_column]!r}"))
        if file is None or image is None:
            continue
        if image in matched:
            problems.append(Problem(f"line {line}", f"the image {image!r} has another picture already"))
        elif file in used:
            problems.append(Problem(f"line {line}", f"the picture {file!r} is line {used[file]}'s"))
        else:
            matched[image], used[file] = file, line
    missing = [prompt.image_name for prompt in prompts if prompt.image_name not in matched]
    problems += [Problem(name, f"has no line in {path.name}") for name in missing]
    return Matched(matched, path.name, problems)


def _columns(
    path: Path, table: Table, to_file: Mapping[str, str | None], to_prompt: Mapping[str, str | None]
) -> tuple[int, int, Sequence[tuple[int, list[str]]]]:
    """The column of files, that of prompts, and the rows under them: by the header's names, else by what is in them."""
    header = table.header
    files = [column for column, name in enumerate(header) if name in _FILE_COLUMNS]
    targets = [header.index(name) for name in _PROMPT_COLUMNS if name in header]  # the surest first
    if len(files) == 1 and targets:
        return files[0], targets[0], table.rows[1:]
    for rows in (table.rows, table.rows[1:]):  # without a header, or under one that says nothing
        fits = [
            [column for column in range(len(header)) if all(_find(lookup, cells[column]) for _, cells in rows)]
            for lookup in (to_file, to_prompt)
        ]
        ways = [(file, prompt) for file, prompt in product(*fits) if file != prompt]
        if rows and len(ways) == 1:
            return *ways[0], rows
    raise UsageError(
        f"{path}: which column is which? Call that of the pictures file, and that of the prompts image_name"
    )


def _one_each(pairs: Iterable[tuple[str, str]]) -> dict[str, str | None]:
    """The value of each key; None for a key that several have."""
    lookup: dict[str, str | None] = {}
    for key, value in pairs:
        lookup[key] = None if key in lookup else value
    return lookup


def _lookup_of_prompts(prompts: Sequence[Prompt]) -> dict[str, str | None]:
    """Image names, ids, stems and texts -> image name; None for a text that several have."""
    texts = _one_each((prompt.text, prompt.image_name) for prompt in prompts)
    stems = {without_suffix(prompt.image_name): prompt.image_name for prompt in prompts}
    keys = {prompt.key: prompt.image_name for prompt in prompts}
    return texts | stems | keys | {prompt.image_name: prompt.image_name for prompt in prompts}


def _find(lookup: Mapping[str, str | None], cell: str) -> str | None:
    """What a cell names: as it stands, or the last part of a path."""
    text = from_cell(cell)
    return lookup.get(text) or lookup.get(PurePosixPath(text.replace("\\", "/")).name)
