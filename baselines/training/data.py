"""The training set of a competition, read strictly.

The course's layout, `train_info.json` and `train/{monster}_{action}_{frame}.png`, or a CSV and images.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from baselines.training import csv_data
from submission import Competition, commands, strict_json
from submission.errors import CompetitionError, MissingPart, Problem, shown
from submission.images import ImageProblem, read_image

FRAME_NAME = re.compile(r"(?P<key>.+)_(?P<frame>[0-9]+)\.png")
FIELDS = {"original_name", "given_description", "action_description", "num_frames"}


@dataclass(frozen=True)
class TrainingEntry:
    """One monster in one action: several captions, several frames; any caption describes any frame. Or one image.

    Attributes:
        key: `{monster}_{action}`, for instance `12_attack1`; of a CSV's image its name.
        captions: complete captions in the order of the file: description, a space, the action's sentence when there
            is one; at least one, none empty.
        frames: the files ordered by frame number; at least one. Frame numbers may have gaps.
    """

    key: str
    captions: tuple[str, ...]
    frames: tuple[Path, ...]


def read_training_data(folder: Path | str) -> list[TrainingEntry]:
    """Read the training set in `folder`, in the order of its `train_info.json` or CSV.

    The frames themselves are found but not decoded. `num_frames` is not compared with the files: in the course's own
    data it counts frames that are not there.

    Raises:
        MissingPart: `train_info.json` or `train/` is not there, and no CSV either.
        CompetitionError: anything in them is not as described; all problems at once.
    """
    entries, problems = find_training_data(Path(folder))
    if problems:
        raise invalid(folder, problems)
    return entries


def captions_file(folder: Path) -> Path:
    """What says what the pictures of a training set show: `train_info.json`, or a CSV where that is not there."""
    info = folder / "train_info.json"
    return info if info.is_file() else csv_data.find(folder) or info


def find_training_data(folder: Path, caption: str | None = None) -> tuple[list[TrainingEntry], list[Problem]]:
    """What of the training set in `folder` is as described, and everything that is not.

    `caption` makes a CSV's captions of its columns (`baselines.training.csv_data`). Raises MissingPart as
    `read_training_data`.
    """
    info_path, frames_path = captions_file(folder), folder / "train"
    if info_path.name != "train_info.json":
        captions, images, problems = csv_data.read(info_path, caption)
        return [TrainingEntry(name, tuple(texts), (images[name],)) for name, texts in captions.items()], problems
    for part, there in ((info_path, info_path.is_file()), (frames_path, frames_path.is_dir())):
        if not there:
            raise MissingPart(
                f"the training data is not complete: no {part.name}", looked_for=part, get_it=_how_to_get(folder)
            )
    info, wrong = strict_json.parse(info_path.read_bytes())
    problems = [Problem("train_info.json", what) for what in wrong]
    if not isinstance(info, dict) or not info:
        return [], [*problems, Problem("train_info.json", "must be one object with an entry per monster and action")]
    frames = _find_frames(frames_path, problems)
    entries = []
    for key, value in info.items():
        captions_of = _captions(key, value, problems)
        of_key = frames.pop(key, {})
        if not of_key:
            problems.append(Problem(key, "has no image train/<key>_<frame>.png"))
        elif captions_of:
            entries.append(TrainingEntry(key, captions_of, tuple(of_key[number] for number in sorted(of_key))))
    for orphans in frames.values():
        problems += [
            Problem(f"train/{path.name}", "belongs to no entry of train_info.json") for path in orphans.values()
        ]
    return entries, problems


def invalid(folder: Path | str, problems: list[Problem]) -> CompetitionError:
    """The error for all that is wrong in a training set."""
    return CompetitionError(f"{folder}: the training data is not valid", problems)


def read_training_image(path: Path, image_size: int | None) -> np.ndarray:
    """(H, W, 3) uint8. Raises CompetitionError when it is no RGB image of `image_size` (None: of any size)."""
    try:
        return read_image(path.read_bytes(), image_size)
    except ImageProblem as error:
        raise CompetitionError(f"{path.parent}: a training image is not valid", [error.problem(path.name)]) from None


def _how_to_get(folder: Path) -> str:
    """A folder's name is somebody's choice: only what is a shipped competition's is repeated in a command."""
    if (name := folder.resolve().name) in Competition.names():
        return commands.data(name)
    missing = "" if folder.is_dir() else ", which is not there"
    return f"put train_info.json and train/, or a CSV and its images, into {shown(str(folder))}{missing}"


def _find_frames(folder: Path, problems: list[Problem]) -> dict[str, dict[int, Path]]:
    """key -> frame number -> file. Dot files (Finder's, a killed writer's) are passed over."""
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        match = FRAME_NAME.fullmatch(path.name)
        if match is None or not path.is_file():
            problems.append(Problem(f"train/{path.name}", "is not an image named <monster>_<action>_<frame>.png"))
            continue
        of_key = found.setdefault(match["key"], {})
        number = int(match["frame"])
        if number in of_key:
            problems.append(Problem(f"train/{path.name}", f"is the same frame as {of_key[number].name}"))
        of_key[number] = path
    return found


def _captions(key: str, value: Any, problems: list[Problem]) -> tuple[str, ...]:
    fields = value if isinstance(value, dict) else {}
    descriptions, action = fields.get("given_description"), fields.get("action_description")
    if fields.keys() != FIELDS:
        wrong = f"must have exactly the fields {', '.join(sorted(FIELDS))}"
    elif not isinstance(descriptions, list) or not descriptions or not all(isinstance(d, str) for d in descriptions):
        wrong = "given_description must be a list of texts"
    elif not isinstance(action, str):
        wrong = "action_description must be a text"
    elif not all(description.strip() for description in descriptions):
        wrong = "given_description holds an empty text"
    else:
        return tuple(f"{description.strip()} {action.strip()}".strip() for description in descriptions)
    problems.append(Problem(key, wrong))
    return ()
