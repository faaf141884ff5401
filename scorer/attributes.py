"""Did it draw what was asked? The classifier's reading of each image against the attributes of its prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from submission import CompetitionError

ATTRIBUTES = ("body", "colours", "features", "item", "action")


def attribute_hits(
    predictions: Mapping[str, Sequence[Any]], asked: Mapping[str, Mapping[str, Any]], names: Sequence[str]
) -> dict[str, list[bool]]:
    """For each attribute, whether each image shows it exactly as asked.

    Args:
        predictions: attribute -> one value per image, in the order of `names`.
        asked: image name -> attribute -> value, as in the competition's attributes file.
        names: the images.

    "colours" are in order, the main one first; "features" are a set. Raises CompetitionError for an image without
    attributes.
    """
    hits: dict[str, list[bool]] = {}
    for attribute in ATTRIBUTES:
        normal = frozenset if attribute == "features" else tuple if attribute == "colours" else str
        try:
            wanted = [normal(asked[name][attribute]) for name in names]
        except KeyError as error:
            raise CompetitionError(f"the competition's attributes lack {error}, needed for {attribute}") from None
        seen = [normal(value) for value in predictions[attribute]]
        hits[attribute] = [a == b for a, b in zip(wanted, seen, strict=True)]
    return hits
