"""A competition: what its `competition.toml` says, and its data, each read only when something needs it."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from submission import commands, paths, strict_json
from submission.competition_toml import Backbones, read_competition_toml
from submission.errors import CompetitionError, MissingPart, Problem
from submission.families import families
from submission.image_hashes import read_hashes
from submission.judging import Tier
from submission.prompts import Prompt, read_prompts
from submission.references import References
from submission.rules import Rules
from submission.safe_read import read_of_host
from submission.statistics import Statistics, read_statistics

_SHIPPED = paths.competitions()
_FILE = "competition.toml"
_MAX_JSON_BYTES = 64 * 2**20


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
    files: dict[str, Any]  # what the toml names, by its key; the statistics' files are a list
    marks: dict[str, float] = field(default_factory=dict)
    data_help: str | None = None
    rules: Rules = field(default_factory=Rules)
    group: str | None = None

    @staticmethod
    def names() -> list[str]:
        return sorted(file.parent.name for file in _SHIPPED.glob(f"*/{_FILE}"))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Competition:
        """The competition of a shipped name, a `competition.toml`, or its folder. Raises CompetitionError."""
        file = _find(path)
        parsed = read_competition_toml(file)
        table = parsed.competition
        return cls(
            name=table.name, title=table.title or table.name, root=file.parent.absolute(),
            image_size=table.image_size, gate=table.gate, group=table.group,
            files=table.files, data_help=table.data_help, backbones=parsed.backbones, baselines=parsed.baselines,
            tiers=tuple(parsed.tiers), marks=parsed.marks, rules=parsed.rules,
        )  # fmt: skip

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
        tiers = {tier.name: tier for tier in self.tiers}
        if name not in tiers:
            known = ", ".join(tiers) or "none"
            raise CompetitionError(f"the competition {self.name!r} has no tier {name!r} (it has: {known})")
        return tiers[name]

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
        if self.image_size is None and self.has_references:
            with contextlib.suppress(MissingPart):
                return self.references().shapes()
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
        value, problems = strict_json.parse(read_of_host(path, _MAX_JSON_BYTES))
        if not problems and not (isinstance(value, dict) and all(isinstance(entry, dict) for entry in value.values())):
            problems = ["must be an object of objects, one per image name"]
        if problems:
            raise CompetitionError(f"{path}: is not valid", [Problem("", what) for what in problems])
        return value  # type: ignore[return-value]

    def check_data(self, *, progress: bool = False) -> dict[str, bool]:
        """Read everything that the competition names and this machine has, every reference included.

        Returns which parts were read: a part that is not on this machine, or that the competition has not, is False.
        Raises CompetitionError with the problems of all parts together.
        """
        parts: dict[str, Callable[[], object]] = {
            "prompts": lambda: self.prompts,
            "families": lambda: self.families,
            "references": lambda: self.references().shapes(progress=progress),
            "statistics": self.statistics,
            "attributes": self.attributes,
            "training_hashes": self.training_hashes,
        }
        read = dict.fromkeys(parts, False)
        errors: list[CompetitionError] = []
        for part, look in parts.items():
            if part in ("families", "references") and not read["prompts"]:
                continue  # without prompts there is nothing to group, and nothing to look for
            try:
                read[part] = look() is not None
            except MissingPart:
                pass
            except CompetitionError as error:
                errors.append(error)
        if errors:
            together = CompetitionError("\n".join(map(str, errors)))
            together.problems = [problem for error in errors for problem in error.problems]
            raise together
        return read


def own_files(path: str | os.PathLike[str]) -> dict[str, Path]:
    """What no command's output may replace, in words: the toml of what `Competition.load` takes, and the files that it
    names; as far as they are found, so that a broken toml is kept too."""
    kept: dict[str, Path] = {}
    with contextlib.suppress(CompetitionError):
        kept["the competition's own file"] = _find(path)
        kept |= {f"the competition's {what}": file for what, file in Competition.load(path).data_files()}
    return kept


def _find(path: str | os.PathLike[str]) -> Path:
    text = os.fspath(path)
    if text in Competition.names():
        return _SHIPPED / text / _FILE
    found = Path(os.path.expanduser(text))  # which leaves the name of nobody as it is
    file = found / _FILE if found.is_dir() else found
    if not file.exists():
        raise CompetitionError(
            f"there is no competition {text!r}\n  shipped: {', '.join(Competition.names()) or 'none'};"
            f" or give the path of a {_FILE} or of its folder"
        )
    return file
