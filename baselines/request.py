"""What was asked for and what draws it, as the manifest keeps them; whether a folder holds the answer already."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from baselines import participant
from baselines.generator import Description, call
from baselines.hardware import Hardware
from baselines.registry import Recipe, hardware_for
from submission import Competition, Manifest
from submission.errors import UsageError, shown
from submission.files import FolderFiles
from submission.hashes import file_sha256
from submission.submission import read_manifest

MAX_SEED = 2**63 - 1
MAX_BATCH_SIZE = 10_000
_OURS = {"batch_size", "device", "precision", "requested"}  # settings that are asked for, not told by the generator


@dataclass(frozen=True)
class Request:
    """One run of one generator for one competition.

    Attributes:
        shard: (I, N): every N-th prompt beginning with the I-th, 0 <= I < N.
        limit: only the first so many prompts.
        batch_size: what the command line says; the competition's or the generator's own otherwise.
        device, precision: as `baselines.hardware.decide` reads them.
        expected: the manifest of what is to be drawn again; anything else is refused once the generator is loaded, but
            versions, which are told, and the settings in `may_differ`.
    """

    recipe: Recipe
    competition: Competition
    seed: int = 0
    shard: tuple[int, int] = (0, 1)
    limit: int | None = None
    batch_size: int | None = None
    device: str = "auto"
    precision: str = "auto"
    expected: Manifest | None = None
    may_differ: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= MAX_SEED:
            raise UsageError(f"the seed {self.seed} is not between 0 and 2^63 - 1")
        if not 0 <= self.shard[0] < self.shard[1]:
            raise UsageError(f"there is no shard {self.shard[0]}/{self.shard[1]}: I/N counts from 0/N to (N - 1)/N")
        for name, value in (("limit", self.limit), ("batch size", self.batch_size)):
            if value is not None and value < 1:
                raise UsageError(f"the {name} {value} is not at least 1")
        if (self.batch_size or 1) > MAX_BATCH_SIZE:
            raise UsageError(f"the batch size is larger than {MAX_BATCH_SIZE:,}: each batch is filled up to it")

    @property
    def names(self) -> list[str]:
        """The images of this shard within the limit, in prompt order."""
        first, step = self.shard
        return [prompt.image_name for prompt in self.competition.prompts[: self.limit][first::step]]

    @cached_property
    def hardware(self) -> Hardware:
        """Where and how it computes. Raises UsageError, MissingPart."""
        return hardware_for(self.recipe, self.device, self.precision)

    @property
    def asked_batch_size(self) -> int | None:
        return self.batch_size or self.recipe.batch_size

    @property
    def asked(self) -> dict[str, Any]:
        """The options that were given, for the manifest: a path by its last part, for its contents are hashed there
        and its place is nobody's business."""
        options = dict(self.recipe.options)
        if "weights" in options and Path(options["weights"]).exists():
            options["weights"] = Path(options["weights"]).resolve().name
        if self.asked_batch_size is not None:
            options["batch_size"] = self.asked_batch_size
        return options

    def manifest(self, description: Description, existing: Manifest | None) -> Manifest:
        """The manifest of the loaded generator.

        The resizing is not known before the first image: `existing`'s is taken. So is what `existing` was asked, when
        the same settings came of it: a default that is now spelled out draws the same images.

        Raises:
            GeneratorError: what the generator says about itself is too long or not printable.
            UsageError: it is not what is to be drawn again.
        """
        recipe = self.recipe
        settings = {**description.settings, "batch_size": self.asked_batch_size or description.batch_size}
        notes = list(description.notes)
        if recipe.uses_device:
            settings["device"] = self.hardware.kind
        if recipe.tolerates:
            settings["precision"] = self.hardware.precision
            notes.append(f"precision {self.hardware.precision} on {self.hardware.kind}: {self.hardware.reason}")
        source = {name: file_sha256(file) for name, file in self._sources.items()}
        manifest = call(
            f"{recipe.model}: what it says about itself does not fit into a manifest",
            lambda: Manifest(
                competition=self.competition.name,
                model=recipe.model,
                weights=source | description.weights,
                seed=self.seed,
                settings=settings | {"requested": self.asked},
                resizing=existing.resizing if existing else None,
                versions={package: version(package) for package in ("numpy", "pillow", *recipe.packages)},
                notes=notes,
            ),
        )
        self._compare(manifest)
        earlier = existing.settings.get("requested") if existing else None
        if existing and isinstance(earlier, dict):
            reworded = {key for key in earlier | self.asked if earlier.get(key) != self.asked.get(key)}
            # An option that the settings do not repeat may have done anything.
            told = settings.keys() | ({"weights"} if description.weights else set())
            same_but_for_words = manifest.model_copy(update={"settings": settings | {"requested": earlier}})
            if reworded <= told and not existing.differences(same_but_for_words):
                return same_but_for_words
        return manifest

    def _compare(self, manifest: Manifest) -> None:
        if self.expected is None:
            return
        free = {"requested", *self.may_differ}
        kept = {name: value for name, value in self.expected.settings.items() if name not in free}
        ours = {name: value for name, value in manifest.settings.items() if name not in free}
        same = {"versions": manifest.versions, "resizing": manifest.resizing, "settings": kept}
        if differences := self.expected.model_copy(update=same).differences(
            manifest.model_copy(update={"settings": ours})
        ):
            lines = "".join(f"\n  {shown(line, 400)}" for line in differences)
            raise UsageError(f"what is here would not draw what the manifest says:{lines}")

    def drew(self, manifest: Manifest) -> bool:
        """Whether this request drew what `manifest` describes, as far as that is known without loading the generator.

        False only means that it has to be loaded to know, as is so for a participant's own that told other settings
        than its class has: where it reads them is known to nobody else. `auto` agrees with any device and precision:
        what was drawn elsewhere is not drawn again because this chip would round differently.
        """
        recipe = self.recipe
        return (
            (manifest.competition, manifest.model, manifest.seed) == (self.competition.name, recipe.model, self.seed)
            and manifest.settings.get("requested") == self.asked
            and self._agrees(manifest, "device", self.device.partition(":")[0])
            and self._agrees(manifest, "precision", self.precision)
            and (recipe.source is None or _told(manifest.settings) == recipe.settings)
            and _are_all_among(set(manifest.weights.values()), [*recipe.files, *self._sources.values()])
        )

    @property
    def _sources(self) -> dict[str, Path]:
        """A participant's file and what it has imported of its folder; the file was run to make the recipe."""
        return {} if self.recipe.source is None else participant.sources(self.recipe.source)

    @staticmethod
    def _agrees(manifest: Manifest, setting: str, asked: str) -> bool:
        return asked in ("auto", manifest.settings.get(setting, asked))


def _told(settings: dict[str, Any]) -> dict[str, Any]:
    """Those settings that the generator told of itself."""
    return {name: value for name, value in settings.items() if name not in _OURS}


def manifest_in(out: Path, competition: Competition) -> Manifest | None:
    """The manifest that the folder `out` has, if it has a valid one for this competition."""
    if not out.is_dir():
        return None
    names = [prompt.image_name for prompt in competition.prompts]
    manifest, problems = read_manifest(FolderFiles(out), competition.name, names)
    return None if problems else manifest


def _are_all_among(hashes: set[str], paths: Iterable[Path]) -> bool:
    """Whether files with all these hashes are at or under `paths`."""
    left = set(hashes)
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if not left:
                return True
            if file.is_file():
                left.discard(file_sha256(file))
    return not left
