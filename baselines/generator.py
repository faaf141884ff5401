"""What a generator is, and the check of what one returns: participants write their own."""

from __future__ import annotations

import json
import re
import sysconfig
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from PIL import Image

from baselines import exits, returned
from baselines.exits import HardExit, no_hard_exit
from submission import Prompt
from submission.errors import CompetitionError, MissingPart, SubmissionError, UsageError, shown, some

_STANDARD_LIBRARY = sysconfig.get_path("stdlib")

# Enough to keep a GPU from idling between images, small enough for a laptop: for generators that do not say theirs.
DEFAULT_BATCH_SIZE = 16

Result = TypeVar("Result")


@runtime_checkable
class Generator(Protocol):
    """Prompts in, images out.

    Optional attributes, read once after loading:
        batch_size: int, how many prompts `generate` is given at a time, always exactly so many.
        settings: dict of JSON values that decide the pixels, for the manifest; options under their own names (`steps`,
            `guidance_scale`), so that a default that is spelled out is known to draw the same.
        weights: dict of name -> sha256 (hex) of the files that decide the pixels, for the manifest.
        notes: list of remarks for the manifest.
    """

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray | list[Image.Image]:
        """(B, H, W, 3) uint8, or PIL images in RGB, one per prompt. `seeds` are in [0, 2^64).

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
        value = call(f"{model}: its attribute {name} cannot be read", lambda: getattr(generator, name, default))
        if not good(value):
            raise GeneratorError(f"{model}: its attribute {name} is {value!r}; it must be {wanted}")
        return value

    def are_strings(values: Any) -> bool:
        return all(isinstance(value, str) for value in values)

    return Description(
        attribute("batch_size", DEFAULT_BATCH_SIZE, lambda v: type(v) is int and v >= 1, "an int of at least 1"),
        _plain(attribute("settings", {}, _is_json_object, "a dict of JSON values with names as keys")),
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


def notes_on(prompts: Sequence[Prompt], holds: Callable[[str], object], what: str) -> list[str]:
    """For the manifest: of how many of the prompts something `holds`, such as that they were cut; nothing of none."""
    names = [prompt.image_name for prompt in prompts if holds(prompt.text)]
    return [f"{len(names)} of {len(prompts)} prompts {what}: {some(names)}"] if names else []


def _is_json_object(value: object) -> bool:
    try:
        return isinstance(value, dict) and json.loads(json.dumps(plain := _plain(value), allow_nan=False)) == plain
    except (TypeError, ValueError):
        return False


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """The same settings with numpy's numbers as Python's."""
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in settings.items()}


def call(doing: str, function: Callable[[], Result], hint: Callable[[BaseException], str] = lambda error: "") -> Result:
    """`function()`; what a generator's own code raises becomes a GeneratorError that says where it was raised.

    Ending the program is an error, too, whatever the exit code: a file whose `sys.exit(main())` runs while it is
    imported has not drawn anything. `hint` may add a line. The errors of this project pass as they are: they have their
    own readers.
    """
    try:
        with no_hard_exit(doing):
            return function()
    except (UsageError, CompetitionError, SubmissionError, MissingPart, GeneratorError, KeyboardInterrupt):
        raise
    except BaseException as error:
        more = f"\n  at {_place(error)}{hint(error)}"
        if isinstance(error, SystemExit):
            what = f"it ended the program: {_words(error)}"
            more += (
                "\n  -> raise an exception where something is wrong; what the file does as a script belongs under"
                ' `if __name__ == "__main__":`'
            )
        else:
            what = f"{type(error).__name__}: {error}"
        if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__ or "out of memory" in what.lower():
            more += "\n  out of memory: try a smaller --batch-size"
        raise GeneratorError(f"{doing}: {what}{more}") from error


def _words(stop: SystemExit) -> str:
    """How the program was ended: with a text, which is the reason, or with a code."""
    if isinstance(stop, HardExit) or not (stop.code is None or isinstance(stop.code, int)):
        return shown(str(stop.code), 2000)
    return f"sys.exit({stop.code!r})"


def _place(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    # The innermost frame outside of libraries: a line that the author wrote.
    frame = next((frame for frame in reversed(frames) if _is_authors(frame.filename)), frames[-1])
    return f"{frame.filename}, line {frame.lineno}, in {frame.name}"


def _is_authors(file: str) -> bool:
    """Neither an installed package nor Python's own; compiled code names files that are not there."""
    others = "site-packages" in file or file == exits.__file__ or file.startswith(_STANDARD_LIBRARY)
    return not others and Path(file).is_file()


def checked_images(doing: str, images: object, count: int) -> np.ndarray:
    """`images` as (count, H, W, 3) uint8. Raises GeneratorError that says how to make them so."""
    try:
        return returned.as_array(images, count)
    except returned.Refused as refused:
        raise GeneratorError(
            f"{doing}: returned {refused.what}, not a uint8 array of shape ({count}, height, width, 3)"
            f"\n  -> {refused.hint}"
        ) from None
