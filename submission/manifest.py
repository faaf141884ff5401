"""`submission.json`: what drew a submission, so that it can be drawn again. A bare folder of images has none."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from submission import strict_json
from submission.errors import shown

MANIFEST_NAME = "submission.json"
MAX_MANIFEST_BYTES = 64 * 2**20  # of any manifest; `max_manifest_bytes` is the limit of one
_BYTES_BESIDE_IMAGES = 2**20
_BYTES_AN_IMAGE = 512  # its name (200 bytes at most) and the hash
_MAX_SETTINGS_BYTES = 2**16  # they are copied into scorecards
_MAX_SETTINGS_DEPTH = 16
_MAX_ENTRIES = {"weights": 1000, "settings": 1000, "versions": 1000, "notes": 100}


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
            if (old := getattr(self, key)) != (new := getattr(other, key)):
                found.append(f"{key}: {old!r} -> {new!r}")
        for group in ("weights", "settings", "versions"):
            ours, theirs = getattr(self, group), getattr(other, group)
            for key in sorted(ours.keys() | theirs.keys()):
                if (old := ours.get(key)) == (new := theirs.get(key)):
                    continue
                what = f"{old!r} -> {new!r}"
                if group == "weights":
                    what = "the file changed" if old and new else "the file is no longer used" if old else "is new"
                found.append(f"{group}.{key}: {what}")
        return found

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """The manifest in `data`, which is foreign. Raises ValueError whose message is one problem per line."""
        value, problems = strict_json.parse(data)
        problems = problems or _too_much(value)
        if not problems:
            try:
                return cls.model_validate(value)
            except ValidationError as error:
                problems = strict_json.first(error.errors(include_url=False, include_input=False), _sentence)
            except RecursionError:
                problems = ["is nested too deeply"]
        raise ValueError("\n".join(problems))


def _too_much(value: object) -> list[str]:
    """What is larger than any generator writes, found before each entry is looked at, and the images whose hash is
    none: pydantic would make an error of a kilobyte for each."""
    if not isinstance(value, dict):
        return []
    images = value.get("images")
    wrong = strict_json.first(
        f"images.{shown(name, 60)}: is not a sha256 of 64 hexadecimal digits"
        for name, digest in (images.items() if isinstance(images, dict) else ())
        if not (isinstance(digest, str) and _SHA256.fullmatch(digest))
    )
    if len(value) > 10 * len(Manifest.model_fields):
        return [f"has {len(value):,} keys, a manifest has {len(Manifest.model_fields)}", *wrong]
    problems = [
        f"{key}: has {len(value[key]):,} entries, more than {limit:,}"
        for key, limit in _MAX_ENTRIES.items()
        if isinstance(value.get(key), dict | list) and len(value[key]) > limit
    ]
    settings = value.get("settings")
    if _is_deeper(settings, _MAX_SETTINGS_DEPTH):
        problems.append(f"settings: is nested more than {_MAX_SETTINGS_DEPTH} deep")
    elif (size := len(json.dumps(settings))) > _MAX_SETTINGS_BYTES:
        problems.append(f"settings: is {size:,} bytes of JSON, more than {_MAX_SETTINGS_BYTES:,}")
    return [*problems, *wrong]


def _is_deeper(value: object, limit: int) -> bool:
    """Whether more than `limit` objects and arrays enclose each other."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(limit == 0 or _is_deeper(child, limit - 1) for child in inner)


def _sentence(entry: ErrorDetails) -> str:
    place = ".".join(map(str, entry["loc"]))
    return f"{place}: {entry['msg']}" if place else entry["msg"]
