"""Families of prompts: those whose images score well or badly together, so that an interval must not count them apart.

Equal prompts are one family always. What else belongs together is named by the host, as `group` in the `[competition]`
of competition.toml:

    group = '^([0-9]+)_'    # a regular expression with one group in (…), found in each entry's key: 12_attack1 -> 12
    group = "animal"        # a column of the CSV, or a field of each entry of the JSON

Two groups that share a prompt are one family.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from submission.errors import CompetitionError, Problem
from submission.prompts import Prompt

# What no column is called and every regular expression with a group has.
_PATTERN = re.compile(r"[()\[\]{}^$*+?|\\]")
_INVALID = "the competition's group is not valid"
_HELP = (
    "write a regular expression with one group in (…) for the entry's key, such as '^([0-9]+)_',"
    " or the name of a column of the prompt list"
)


def problems_of_group(group: str | None) -> list[Problem]:
    """What is wrong with the `group` of a competition, as far as its prompts are not needed to say so."""
    if group is None or not _PATTERN.search(group):
        return []
    try:
        groups = re.compile(group).groups
        why = "" if groups == 1 else f"has {groups} groups in (…), not one"
    except (re.error, OverflowError, RecursionError) as error:
        why = f"is not a regular expression: {error}"
    return [Problem("competition.group", f"{group!r} {why}", _HELP)] if why else []


def families(prompts: Sequence[Prompt], group: str | None = None) -> tuple[int, ...]:
    """The family of each prompt: numbers from 0, in the order in which the families appear.

    Prompts are equal when they differ in capitals and blanks at most; only these belong together when `group` is None.
    Raises CompetitionError for a `group` that is neither a column nor a proper expression, or that some entries lack.
    """
    names = [[" ".join(unicodedata.normalize("NFC", prompt.text).casefold().split()) for prompt in prompts]]
    if group is not None:
        names.append(_groups(prompts, group))
    # Prompts of equal names are joined, by union and find.
    parent = list(range(len(prompts)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for of_prompts in names:
        first: dict[str, int] = {}
        for place, name in enumerate(of_prompts):
            parent[root(place)] = root(first.setdefault(name, place))
    numbers: dict[int, int] = {}
    return tuple(numbers.setdefault(root(place), len(numbers)) for place in range(len(prompts)))


def _groups(prompts: Sequence[Prompt], group: str) -> list[str]:
    if problems := problems_of_group(group):
        raise CompetitionError(_INVALID, problems)
    if _PATTERN.search(group):
        pattern = re.compile(group)
        found = [match[1] if (match := pattern.search(prompt.key)) else None for prompt in prompts]
        what, hint = f"group = {group!r} finds nothing in this entry's key", _HELP
    else:
        columns = dict.fromkeys(name for prompt in prompts for name in prompt.fields)
        # A table's header is read in lower case, with "_" for blanks.
        column = group if group in columns else re.sub(r"[\s-]+", "_", group.strip().lower())
        if column not in columns:
            known = ", ".join(columns) or "none"
            what = f"{group!r} is no column of the prompt list (it has: {known})"
            raise CompetitionError(_INVALID, [Problem("competition.group", what, _HELP)])
        found = [prompt.fields.get(column, "").strip() for prompt in prompts]
        what, hint = f"the column {group!r}, which says what belongs together, is empty here", "fill it in"
    if problems := [Problem(p.key, what, hint) for p, name in zip(prompts, found, strict=True) if not name]:
        raise CompetitionError(_INVALID, problems)
    return [name or "" for name in found]
