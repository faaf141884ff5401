"""`submission.json`: what drew a submission, so that it can be drawn again. A bare folder of images has none."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError

from submission import strict_json
from submission.errors import shown

MANIFEST_NAME = "submission.json"
MAX_MANIFEST_BYTES = 64 * 2**20  # of any manifest; `max_manifest_bytes` is the limit of one
_BYTES_BESIDE_IMAGES = 2**20
_BYTES_AN_IMAGE = 512  # its name (200 bytes at most) and the hash
_MAX_SETTINGS_BYTES = 2**16  # they are copied into scorecards
_MAX_SETTINGS_DEPTH = 16
_MAX_ENTRIES = {"weights": 1000, "settings": 1000, "versions": 1000, "notes": 100}
_PROBLEMS_SHOWN = 20


def _printable(text: str) -> str:
    if any(unicodedata.category(char)[0] == "C" for char in text):
        raise ValueError("has control or invisible characters")
    return text


Text = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_printable)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_SHA256 = re.compile(r"[0-9a-f]{64}")


def max_manifest_bytes(images: int) -> int:
    """The largest manifest accepted for a submission of so many images."""
    return min(MAX_MANIFEST_BYTES, _BYTES_BESIDE_IMAGES + _BYTES_AN_IMAGE * images)


class Manifest(BaseModel):
    """The manifest of a submission.

    `weights` maps the name of each weight file to its sha256; `settings` are the sampler's (JSON values); `resizing`
    says how images drawn at another size were brought to the competition's, None when they were not; `versions` are
    of the packages; `images` maps each image to its file's sha256 and is empty while the submission is unfinished.
    There is no time in it: the same run gives the same bytes.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    format: Literal[1] = 1
    competition: Text
    model: Text
    weights: dict[Text, Sha256] = Field(default_factory=dict)
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    settings: dict[Text, JsonValue] = Field(default_factory=dict)
    resizing: Text | None = None
    versions: dict[Text, Text] = Field(default_factory=dict)
    notes: list[Text] = Field(default_factory=list)
    images: dict[str, Sha256] = Field(default_factory=dict)

    def differences(self, other: Manifest) -> list[str]:
        """What would draw other bytes in `other` than in `self`: files that changed by name, the rest as
        "key: ours -> theirs"."""
        found = []
        for key in ("competition", "model", "seed", "resizing"):
            ours, theirs = getattr(self, key), getattr(other, key)
            if ours != theirs:
                found.append(f"{key}: {ours!r} -> {theirs!r}")
        for file in sorted(self.weights.keys() | other.weights.keys()):
            ours, theirs = self.weights.get(file), other.weights.get(file)
            if ours != theirs:
                what = "the file changed" if ours and theirs else "the file is no longer used" if ours else "is new"
                found.append(f"weights.{file}: {what}")
        for group in ("settings", "versions"):
            ours, theirs = getattr(self, group), getattr(other, group)
            for key in sorted(ours.keys() | theirs.keys()):
                if ours.get(key) != theirs.get(key):
                    found.append(f"{group}.{key}: {ours.get(key)!r} -> {theirs.get(key)!r}")
        return found

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """The manifest in `data`, which is foreign. Raises ValueError whose message is one problem per line."""
        value, problems = strict_json.parse(data)
        if problems:
            raise ValueError("\n".join(problems))
        if problems := [*_too_much(value), *_wrong_hashes(value)]:
            raise ValueError("\n".join(problems))
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            lines = [_sentence(entry) for entry in error.errors(include_url=False, include_input=False)]
            raise ValueError("\n".join(_first(lines))) from None
        except RecursionError:
            raise ValueError("is nested too deeply") from None


def _too_much(value: object) -> list[str]:
    """Tables of a manifest that are larger than any generator writes, found before each entry is looked at."""
    if not isinstance(value, Mapping):
        return []
    if len(value) > 10 * len(Manifest.model_fields):
        return [f"has {len(value):,} keys, a manifest has {len(Manifest.model_fields)}"]
    problems = [
        f"{key}: has {len(value[key]):,} entries, more than {limit:,}"
        for key, limit in _MAX_ENTRIES.items()
        if isinstance(value.get(key), Mapping | list) and len(value[key]) > limit
    ]
    settings = value.get("settings")
    if _depth(settings) > _MAX_SETTINGS_DEPTH:
        problems.append(f"settings: is nested more than {_MAX_SETTINGS_DEPTH} deep")
    elif (size := len(json.dumps(settings))) > _MAX_SETTINGS_BYTES:
        problems.append(f"settings: is {size:,} bytes of JSON, more than {_MAX_SETTINGS_BYTES:,}")
    return problems


def _depth(value: object) -> int:
    """How many objects and arrays enclose each other; counting ends beyond what is allowed."""
    level, depth = [value], 0
    while depth <= _MAX_SETTINGS_DEPTH:
        level = [
            child
            for outer in level
            if isinstance(outer, Mapping | list)
            for child in (outer.values() if isinstance(outer, Mapping) else outer)
        ]
        if not level:
            break
        depth += 1
    return depth


def _wrong_hashes(value: object) -> list[str]:
    """The images whose hash is none, as many as are shown: pydantic would make an error of a kilobyte for each."""
    images = value.get("images") if isinstance(value, Mapping) else None
    if not isinstance(images, Mapping):
        return []
    wrong = [name for name, digest in images.items() if not (isinstance(digest, str) and _SHA256.fullmatch(digest))]
    return _first([f"images.{shown(name, 60)}: is not a sha256 of 64 hexadecimal digits" for name in wrong])


def _first(lines: list[str]) -> list[str]:
    more = len(lines) - _PROBLEMS_SHOWN
    return lines[:_PROBLEMS_SHOWN] + ([f"and {more:,} more problems"] if more > 0 else [])


def _sentence(entry: object) -> str:
    place = ".".join(str(part) for part in entry["loc"])  # type: ignore[index]
    return f"{place}: {entry['msg']}" if place else str(entry["msg"])  # type: ignore[index]
