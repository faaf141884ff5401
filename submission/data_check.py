"""What is wrong with a competition's own data: found by its host before a participant's run ends with it."""

from __future__ import annotations

from collections.abc import Callable

from submission.competition import Competition
from submission.errors import CompetitionError, MissingPart


def check_data(competition: Competition, *, progress: bool = False) -> dict[str, bool]:
    """Read everything that the competition names and this machine has, every reference included.

    Returns which parts were read: a part that is not on this machine, or that the competition has not, is False. Raises
    CompetitionError with the problems of all parts together.
    """
    parts: dict[str, Callable[[], object]] = {
        "prompts": lambda: competition.prompts,
        "families": lambda: competition.families,
        "references": lambda: competition.references().shapes(progress=progress),
        "statistics": competition.statistics,
        "attributes": competition.attributes,
        "training_hashes": competition.training_hashes,
    }
    read = dict.fromkeys(parts, False)
    errors: list[CompetitionError] = []
    for part, look in parts.items():
        if part in ("families", "references") and not read["prompts"]:
            continue  # without prompts there is nothing to group, and nothing to look for
        try:
            read[part] = look() is not None
        except MissingPart:
            pass
        except CompetitionError as error:
            errors.append(error)
    if errors:
        together = CompetitionError("\n".join(map(str, errors)))
        together.problems = [problem for error in errors for problem in error.problems]
        raise together
    return read
