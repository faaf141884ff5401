"""Did it draw what was asked? The classifier's reading of each image against the attributes of its prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from submission import CompetitionError

ATTRIBUTES = ("body", "colours", "features", "item", "action")


def attribute_hits(
    predictions: Mapping[str, Sequence[Any]], asked: Mapping[str, Mapping[str, Any]], names: Sequence[str]
) -> dict[str, list[float]]:
    """For each attribute, how well each image shows what was asked, from 0 to 1.

    Args:
        predictions: attribute -> one value per image, in the order of `names`.
        asked: image name -> attribute -> value, as in the competition's attributes file.
        names: the images.

    Body, item and action are right or wrong. Colours and features are several at once: of all that are asked or seen,
    the fraction that is both (the accuracy of multi-label classification; Godbole & Sarawagi, PAKDD 2004, section 2),
    which is 1 for exactly what was asked. A main colour seen as the second one is not the same colour. Raises
    CompetitionError for an image without attributes.
    """
    hits: dict[str, list[float]] = {}
    for attribute in ATTRIBUTES:
        try:
            wanted = [_parts(attribute, asked[name][attribute]) for name in names]
        except KeyError as error:
            raise CompetitionError(f"the competition's attributes lack {error}, needed for {attribute}") from None
        seen = [_parts(attribute, value) for value in predictions[attribute]]
        hits[attribute] = [len(a & b) / len(a | b) if a | b else 1.0 for a, b in zip(wanted, seen, strict=True)]
    return hits


def _parts(attribute: str, value: Any) -> frozenset[Any]:
    """The value as a set of what can be right on its own."""
    if attribute == "colours":
        return frozenset(enumerate(value))
    return frozenset(value) if attribute == "features" else frozenset([value])
