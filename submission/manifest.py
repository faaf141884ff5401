"""`submission.json`: what drew a submission, so that it can be drawn again. A bare folder of images has none."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError

from submission import strict_json

MANIFEST_NAME = "submission.json"
MAX_MANIFEST_BYTES = 16 * 2**20


def _printable(text: str) -> str:
    if any(unicodedata.category(char)[0] == "C" for char in text):
        raise ValueError("has control or invisible characters")
    return text


Text = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_printable)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


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
        """What would draw other bytes in `other` than in `self`, each as "key: ours -> theirs"."""
        found = []
        for key in ("competition", "model", "seed", "resizing"):
            ours, theirs = getattr(self, key), getattr(other, key)
            if ours != theirs:
                found.append(f"{key}: {ours!r} -> {theirs!r}")
        for group in ("weights", "settings", "versions"):
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
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise ValueError("\n".join(_sentence(entry) for entry in error.errors())) from None
        except RecursionError:
            raise ValueError("is nested too deeply") from None


def _sentence(entry: object) -> str:
    place = ".".join(str(part) for part in entry["loc"])  # type: ignore[index]
    return f"{place}: {entry['msg']}" if place else str(entry["msg"])  # type: ignore[index]
