"""`competition.toml` -> Competition. Parsing is strict; the data it points to is read only when something needs it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from submission import commands, paths, strict_json, strict_toml
from submission.errors import CompetitionError, MissingPart, Problem
from submission.families import families, problems_of_group
from submission.image_hashes import read_hashes
from submission.judging import Line, Tier, TierTable, problems_of_marks, problems_of_tiers
from submission.prompts import Prompt, read_prompts
from submission.references import References
from submission.rules import Rules
from submission.safe_read import NotReadable, read_regular
from submission.statistics import Statistics, problem_of_names, read_statistics

_SHIPPED = paths.competitions()
_FILE = "competition.toml"
_FILES = ("prompts", "references", "statistics", "attributes", "training_hashes")
_MAX_JSON_BYTES = 64 * 2**20

_Sentence = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class _CompetitionTable(_Table):
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    title: Line | None = None
    prompts: Line
    references: Line | None = None
    statistics: Line | Annotated[list[Line], Field(min_length=1, max_length=2)] | None = None
    attributes: Line | None = None
    training_hashes: Line | None = None
    image_size: Annotated[int, Field(ge=8, le=4096)] | None = None
    group: Line | None = None
    gate: Line | None = None
    data_help: _Sentence | None = None


class Backbones(_Table):
    """The protocol of the measurement: which Inception, which CLIP, and CLIP's weights (an open_clip tag or a file)."""

    inception: Literal["clean", "legacy_pytorch", "legacy_tensorflow", "torchvision", "bestiary"] = "clean"
    clip: Line = "ViT-B-32-quickgelu"
    clip_weights: Line | None = None


class _File(_Table):
    competition: _CompetitionTable
    backbones: Backbones = Backbones(clip_weights="openai")
    tiers: list[TierTable] = Field(default_factory=list)
    marks: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(default_factory=dict)
    rules: Rules = Field(default_factory=Rules)
    baselines: dict[str, dict[str, Any]] = Field(default_factory=dict)


@dataclass(frozen=True)
class Competition:
    """One competition: what to draw, what to measure it against, and with what.

    `root` is the folder of the toml, which the paths in it are relative to; `baselines` is passed on unread; `marks` is
    each metric's share of the mark (see `scorecard.mark`), empty where no marks are given; `data_help` says how to get
    what "{data}/" paths name; `group` says which prompts belong together (see `submission.families`).
    """

    name: str
    title: str
    root: Path
    image_size: int | None
    gate: str | None
    backbones: Backbones
    tiers: tuple[Tier, ...]
    baselines: dict[str, dict[str, Any]]
    files: dict[str, Any]  # each of _FILES as written in the toml
    marks: dict[str, float] = field(default_factory=dict)
    data_help: str | None = None
    rules: Rules = field(default_factory=Rules)
    group: str | None = None

    @staticmethod
    def names() -> list[str]:
        """The competitions that are shipped."""
        return sorted(file.parent.name for file in _SHIPPED.glob(f"*/{_FILE}"))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Competition:
        """The competition of a shipped name, a `competition.toml`, or its folder. Raises CompetitionError."""
        file = _find(path)
        try:
            parsed = _File.model_validate(strict_toml.parse(read_regular(file, strict_toml.MAX_BYTES, follow=True)))
        except ValidationError as error:
            raise CompetitionError(f"{file}: is not valid", [_problem(entry) for entry in error.errors()]) from None
        except ValueError as error:
            raise CompetitionError(f"{file}: {error}") from None
        tiers = tuple(parsed.tiers)
        table = parsed.competition
        problems = [*problems_of_tiers(tiers, table.gate), *problems_of_marks(tiers, parsed.marks)]
        problems += [*parsed.rules.problems(table.training_hashes), *problems_of_group(table.group)]
        files = {key: getattr(table, key) for key in _FILES}
        if isinstance(files["statistics"], str):
            files["statistics"] = [files["statistics"]]
        if files["statistics"] is not None and (problem := problem_of_names(files["statistics"])):
            problems.append(Problem("competition.statistics", problem))
        if problems:
            raise CompetitionError(f"{file}: is not valid", problems)
        return cls(
            name=table.name,
            title=table.title or table.name,
            root=file.parent.absolute(),
            image_size=table.image_size,
            gate=table.gate,
            backbones=parsed.backbones,
            tiers=tiers,
            baselines=parsed.baselines,
            files=files,
            marks=parsed.marks,
            data_help=table.data_help,
            rules=parsed.rules,
            group=table.group,
        )

    @property
    def data(self) -> Path:
        """The competition's data folder, which "{data}" stands for."""
        return paths.data_home() / self.name

    def path(self, text: str) -> Path:
        """A path as the toml writes it: relative to the toml, or in this competition's data folder ("{data}/…")."""
        if text.startswith("{data}/"):
            return self.data / text.removeprefix("{data}/")
        return self.root / text

    def _existing(self, what: str, text: str) -> Path:
        path = self.path(text)
        if not path.exists():
            in_data = text.startswith("{data}/")
            get_it = self.how_to_get_data() if in_data else f"put the file that {self.name!r} names there"
            raise MissingPart(f"the {what} of the competition {self.name!r}", looked_for=path, get_it=get_it)
        return path

    @property
    def is_shipped(self) -> bool:
        """Whether it came with this package."""
        return self.root == _SHIPPED / self.name

    @property
    def prepare(self) -> Path | None:
        """The script beside the toml that makes the competition's data; None where there is none."""
        script = self.root / "prepare.py"
        return script if script.is_file() else None

    def how_to_get_data(self) -> str:
        """What to do when a file in the data folder is missing."""
        if self.data_help is not None:
            return self.data_help.replace("{data}", str(self.data))
        if self.is_shipped:
            return commands.data(self.name)
        if self.prepare is not None:
            return f"{commands.python()} {commands.named(self.prepare, 'prepare.py')}"
        missing = ", ".join(str(path) for _, path in self.data_files() if not path.exists())
        return f"ask the host of the competition for what is not here, and put it there: {missing}"

    def data_files(self) -> list[tuple[str, Path]]:
        """The files that the toml names, each with what it is; they need not exist."""
        named = [(what, text) for what, text in self.files.items() if isinstance(text, str)]
        named += [("statistics", text) for text in self.files["statistics"] or ()]
        return [(what, self.path(text)) for what, text in named]

    def tier(self, name: str) -> Tier:
        """The tier `name`. Raises CompetitionError."""
        for tier in self.tiers:
            if tier.name == name:
                return tier
        known = ", ".join(tier.name for tier in self.tiers) or "none"
        raise CompetitionError(f"the competition {self.name!r} has no tier {name!r} (it has: {known})")

    @cached_property
    def prompts(self) -> tuple[Prompt, ...]:
        """What to draw, in the order of the prompt list. Raises CompetitionError, MissingPart."""
        return read_prompts(self._existing("prompt list", self.files["prompts"]))

    @cached_property
    def prompts_sha256(self) -> str:
        """The hash of names and texts in order, whatever file format they came in."""
        lines = "".join(f"{prompt.image_name}\0{prompt.text}\n" for prompt in self.prompts)
        return hashlib.sha256(lines.encode()).hexdigest()

    @cached_property
    def families(self) -> tuple[int, ...]:
        """The family of each prompt, from 0 (see `submission.families`). Raises CompetitionError, MissingPart."""
        try:
            return families(self.prompts, self.group)
        except CompetitionError as error:
            raise CompetitionError(f"{self.root / _FILE}: group does not fit the prompts", error.problems) from None

    @property
    def has_references(self) -> bool:
        """Whether the competition names reference images, which need not be on this machine."""
        return self.files["references"] is not None

    def references(self) -> References:
        """The reference images. Raises MissingPart when they are not on this machine or not part of the competition."""
        if not self.has_references:
            raise MissingPart(
                f"the competition {self.name!r} has no reference images",
                get_it="name them as `references` in its competition.toml",
            )
        path = self._existing("references", self.files["references"])
        return References(path, [prompt.image_name for prompt in self.prompts], self.image_size)

    @cached_property
    def reference_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape (H, W, 3) of each reference where they decide the images' sizes: no `image_size` is named, and they
        are on this machine. Empty otherwise. Raises CompetitionError with every reference that is no image."""
        if self.image_size is not None or not self.has_references:
            return {}
        try:
            return self.references().shapes()
        except MissingPart:
            return {}

    def size_of(self, image_name: str) -> tuple[int, int] | None:
        """(width, height) that an image is to have: `image_size`, else its reference's; None where any will do."""
        if self.image_size is not None:
            return self.image_size, self.image_size
        shape = self.reference_shapes.get(image_name)
        return None if shape is None else (shape[1], shape[0])

    @cached_property
    def sizes(self) -> frozenset[tuple[int, int] | None]:
        """What `size_of` says, over all images."""
        return frozenset(self.size_of(prompt.image_name) for prompt in self.prompts)

    @property
    def common_size(self) -> tuple[int, int] | None:
        """(width, height) of all images, None where any will do, or they differ."""
        return next(iter(self.sizes)) if len(self.sizes) == 1 else None

    def statistics(self) -> Statistics | None:
        """The precomputed statistics to measure FID against, None when not named. CompetitionError, MissingPart."""
        return self._statistics

    @cached_property
    def _statistics(self) -> Statistics | None:
        names = self.files["statistics"]
        return None if names is None else read_statistics([self._existing("statistics", text) for text in names])

    @cached_property
    def statistics_sha256(self) -> str | None:
        """The hash of the statistics' float64 values, None when there are none."""
        found = self.statistics()
        return None if found is None else hashlib.sha256(found.mean.tobytes() + found.covariance.tobytes()).hexdigest()

    def training_hashes(self) -> np.ndarray | None:
        """The codes (K, 30) uint8 of the training images, None when not named. Raises CompetitionError, MissingPart."""
        text = self.files["training_hashes"]
        return None if text is None else read_hashes(self._existing("training hashes", text))

    def attributes(self) -> dict[str, dict[str, Any]] | None:
        """What each image is asked to show, image name -> attributes; None when the competition does not say."""
        if self.files["attributes"] is None:
            return None
        path = self._existing("attributes", self.files["attributes"])
        try:
            value, problems = strict_json.parse(read_regular(path, _MAX_JSON_BYTES, follow=True))
        except NotReadable as error:
            raise CompetitionError(f"{path}: {error}") from None
        if not problems and not (isinstance(value, dict) and all(isinstance(entry, dict) for entry in value.values())):
            problems = ["must be an object of objects, one per image name"]
        if problems:
            raise CompetitionError(f"{path}: is not valid", [Problem("", what) for what in problems])
        return value  # type: ignore[return-value]


def _find(path: str | os.PathLike[str]) -> Path:
    text = os.fspath(path)
    if text in Competition.names():
        return _SHIPPED / text / _FILE
    found = Path(text).expanduser()
    file = found / _FILE if found.is_dir() else found
    if not file.exists():
        raise CompetitionError(
            f"there is no competition {text!r}\n  shipped: {', '.join(Competition.names()) or 'none'};"
            f" or give the path of a {_FILE} or of its folder"
        )
    return file


def _problem(entry: Any) -> Problem:
    key = ".".join(str(part) for part in entry["loc"])
    if entry["type"] == "extra_forbidden":
        return Problem(key, "is not a key of competition.toml", "check its spelling and its table")
    if entry["type"] == "missing":
        return Problem(key, "is missing")
    return Problem(key, f"{entry['msg']}, found {entry['input']!r}")
