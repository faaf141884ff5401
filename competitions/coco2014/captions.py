"""COCO's caption files: images with their captions, read strictly, and the choice of some by a seed.

An image and its caption are brought together by the image's id and by nothing else: neither the order of the file, nor
that of a folder's listing, nor names are looked at. Which images are chosen, and which of an image's captions, follows
from hashes of seed and ids, so that equal seeds choose equally from any reordering of the file, and N = 1000 are among
N = 10000.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from submission import strict_json
from submission.errors import CompetitionError, MissingPart, Problem, UsageError
from submission.image_names import clash_key, why_unsafe
from submission.safe_read import read_of_host

MAX_CAPTIONS_BYTES = 512 * 2**20
ANNOTATIONS_URL = "http://images.cocodataset.org/annotations/annotations_trainval2014.zip"


@dataclass(frozen=True)
class Captioned:
    """An image with the one caption that was chosen for it."""

    image_id: int
    file_name: str
    caption_id: int
    caption: str

    @property
    def image_name(self) -> str:
        """The name of the reference, and of the image to draw."""
        return f"{Path(self.file_name).stem}.png"


def read_captions(path: Path) -> tuple[dict[int, str], dict[int, dict[int, str]]]:
    """A COCO caption file: image id -> file name, and image id -> caption id -> caption (blanks made single).

    Raises:
        MissingPart: there is no such file.
        CompetitionError: every problem of the file at once.
    """
    if not path.exists():
        raise MissingPart("COCO's captions", looked_for=path, get_it=f"download and unpack {ANNOTATIONS_URL}")
    value, wrong = strict_json.parse(read_of_host(path, MAX_CAPTIONS_BYTES))
    problems = [Problem("", what) for what in wrong]
    files: dict[int, str] = {}
    captions: dict[int, dict[int, str]] = {}
    if not problems:
        problems += _read_images(_list_of(value, "images"), files)
        problems += _read_annotations(_list_of(value, "annotations"), files, captions)
    if problems:
        raise CompetitionError(f"{path}: is not a caption file of COCO, or not a whole one", problems)
    return files, captions


def _read_images(entries: list[Any], files: dict[int, str]) -> Iterator[Problem]:
    if not entries:
        yield Problem("images", "is missing, empty, or no list")
    names: dict[str, int] = {}
    for number, entry in enumerate(entries):
        key, name = _get(entry, "id"), _get(entry, "file_name")
        if type(key) is not int or not isinstance(name, str):
            yield Problem(f"images {number}", "has no whole number as id, or no text as file_name")
            continue
        stated, stem = re.search(r"_(\d{12})\.jpg$", name), clash_key(Path(name).stem)
        if reason := why_unsafe(name):
            yield Problem(f"image {key}", f"its file name {name!r} {reason}")
        elif key in files:
            yield Problem(f"image {key}", "its id is there twice")
        elif stem in names:
            yield Problem(f"image {key}", f"has the file name of image {names[stem]}: {name}")
        elif stated and int(stated[1]) != key:
            yield Problem(f"image {key}", f"its file name says another id: {name}")
        else:
            files[key] = name
            names[stem] = key


def _read_annotations(
    entries: list[Any], files: dict[int, str], captions: dict[int, dict[int, str]]
) -> Iterator[Problem]:
    if not entries:
        yield Problem("annotations", "is missing, empty, or no list")
    elif all(_get(entry, "caption") is None for entry in entries):
        yield Problem("annotations", "have no captions", "take captions_val2014.json, not instances_val2014.json")
        return
    seen: set[int] = set()
    for number, entry in enumerate(entries):
        key, image, text = _get(entry, "id"), _get(entry, "image_id"), _get(entry, "caption")
        if type(key) is not int or type(image) is not int or not isinstance(text, str):
            yield Problem(f"annotations {number}", "has no whole number as id and image_id, or no text as caption")
        elif key in seen:
            yield Problem(f"caption {key}", "its id is there twice")
        elif image not in files:
            yield Problem(f"caption {key}", "is of an image that is not in the file", f"such as image {image}")
        elif not text.strip():
            yield Problem(f"caption {key}", "is empty")
        else:
            captions.setdefault(image, {})[key] = " ".join(text.split())
        if type(key) is int:
            seen.add(key)


def _list_of(value: Any, key: str) -> list[Any]:
    found = _get(value, key)
    return found if isinstance(found, list) else []


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def choose(files: dict[int, str], captions: dict[int, dict[int, str]], n: int, seed: int) -> list[Captioned]:
    """`n` of the images that have captions, in order of id, each with one of its own captions. Raises UsageError."""
    if not 1 <= n <= len(captions):
        raise UsageError(f"N={n}: there are {len(captions):,} images with captions; N is from 1 to that")

    def rank(what: str, key: int) -> bytes:
        return hashlib.sha256(f"{seed}:{what}:{key}".encode()).digest()

    images = sorted(sorted(captions, key=lambda image: rank("image", image))[:n])
    chosen = {image: min(captions[image], key=lambda caption: rank("caption", caption)) for image in images}
    return [Captioned(image, files[image], caption, captions[image][caption]) for image, caption in chosen.items()]
