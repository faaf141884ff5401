"""What a generator is, and the check of what one returns: participants write their own."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np

from submission.errors import CompetitionError, MissingPart, SubmissionError, UsageError

# Enough to keep a GPU from idling between images, small enough for a laptop: for generators that do not say theirs.
DEFAULT_BATCH_SIZE = 16

Result = TypeVar("Result")


class Generator(Protocol):
    """Prompts in, images out.

    Optional attributes, read once after loading:
        batch_size: int, how many prompts `generate` is given at a time, always exactly so many.
        settings: dict of JSON values that decide the pixels, for the manifest; options under their own names (`steps`,
            `guidance_scale`), so that a default that is spelled out is known to draw the same.
        weights: dict of name -> sha256 (hex) of the files that decide the pixels, for the manifest.
        notes: list of remarks for the manifest.
    """

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
        """(B, H, W, 3) uint8, one image per prompt. `seeds` are in [0, 2^64).

        An image may depend on its own prompt and seed only.
        """
        ...


class GeneratorError(RuntimeError):
    """A generator raised or returned something that is no image. For its author."""


@dataclass(frozen=True)
class Description:
    """A generator's optional attributes, checked."""

    batch_size: int
    settings: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def describe(model: str, generator: object) -> Description:
    """Raises GeneratorError when an attribute is not as in `Generator`."""

    def attribute(name: str, default: Any, good: Callable[[Any], bool], wanted: str) -> Any:
        value = getattr(generator, name, default)
        if not good(value):
            raise GeneratorError(f"{model}: its attribute {name} is {value!r}; it must be {wanted}")
        return value

    def are_strings(values: Any) -> bool:
        return all(isinstance(value, str) for value in values)

    return Description(
        attribute("batch_size", DEFAULT_BATCH_SIZE, lambda v: type(v) is int and v >= 1, "an int of at least 1"),
        attribute("settings", {}, _is_json_object, "a dict of JSON values with names as keys"),
        attribute(
            "weights",
            {},
            lambda v: (
                isinstance(v, dict) and are_strings(v) and all(re.fullmatch("[0-9a-f]{64}", s) for s in v.values())
            ),
            "a dict of name -> sha256 in 64 hexadecimal digits",
        ),
        attribute("notes", [], lambda v: isinstance(v, list) and are_strings(v), "a list of texts"),
    )


def _is_json_object(value: object) -> bool:
    try:
        return isinstance(value, dict) and json.loads(json.dumps(value, allow_nan=False)) == value
    except (TypeError, ValueError):
        return False


def call(doing: str, function: Callable[[], Result]) -> Result:
    """`function()`; what a generator's own code raises becomes a GeneratorError that says where it was raised.

    The errors of this project pass as they are: they have their own readers.
    """
    try:
        return function()
    except (UsageError, CompetitionError, SubmissionError, MissingPart, GeneratorError):
        raise
    except Exception as error:
        place = _most_telling(traceback.extract_tb(error.__traceback__))
        where = f"\n  at {place.filename}, line {place.lineno}, in {place.name}"
        if isinstance(error, SyntaxError):
            where = f"\n  at {error.filename}, line {error.lineno}"
        if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
            where += "\n  out of memory: try a smaller --batch-size"
        raise GeneratorError(f"{doing}: {type(error).__name__}: {error}{where}") from error


def _most_telling(frames: Sequence[traceback.FrameSummary]) -> traceback.FrameSummary:
    """The innermost frame outside of libraries: a line that the author wrote."""
    own = [frame for frame in frames if "site-packages" not in frame.filename and not frame.filename.startswith("<")]
    return (own or frames)[-1]


def checked_images(doing: str, images: object, count: int) -> np.ndarray:
    """`images` when they are (count, H, W, 3) uint8. Raises GeneratorError that says how to make them so."""

    def refuse(what: str, hint: str) -> GeneratorError:
        return GeneratorError(
            f"{doing}: returned {what}, not a uint8 array of shape ({count}, height, width, 3)\n  -> {hint}"
        )

    if images is None:
        raise refuse("None", "end generate with a return")
    if not isinstance(images, np.ndarray):
        kind = f"{type(images).__module__}.{type(images).__qualname__}".removeprefix("builtins.")
        hint = (
            "images.cpu().numpy()" if kind.startswith("torch.") else "np.stack([np.asarray(image) for image in images])"
        )
        raise refuse(f"a {kind}", hint)
    if images.dtype != np.uint8:
        hint = "for values in [0, 1]: (images * 255).round().clip(0, 255).astype(np.uint8)"
        raise refuse(f"values of type {images.dtype}", hint)
    if images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape:
        channels_first = images.ndim == 4 and images.shape[1] == 3
        hint = "images.transpose(0, 2, 3, 1)" if channels_first else "one RGB image per prompt, stacked"
        raise refuse(f"the shape {images.shape}", hint)
    if len(images) != count:
        raise refuse(f"{len(images)} images for {count} prompts", "one image for every prompt, in their order")
    return images
