"""Prompts to a folder of images, from top to bottom: what is asked for, what of it is there, batches, pixels, files.

An image depends on its own prompt and seed only. A generator is always given batches of one and the same size, because
kernels for another shape may round differently: the last batch is filled up with its last prompt, and what comes of
the filling is thrown away. So neither order nor shards nor a run that was killed in between changes a byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from baselines import participant
from baselines.diffusion.batches import filled
from baselines.generator import Description, Generator, GeneratorError, call, checked_images, describe
from baselines.hardware import Hardware, print_cost
from baselines.registry import Recipe, hardware_for
from submission import Competition, Manifest, Prompt, SubmissionWriter, image_seed
from submission.errors import UsageError
from submission.files import FolderFiles
from submission.hashes import file_sha256
from submission.progress import Progress
from submission.submission import read_manifest

MAX_SEED = 2**63 - 1
MAX_BATCH_SIZE = 10_000
_ASKED_FOR = {"batch_size", "device", "precision", "requested"}  # settings that are no generator's own
# What numpy, torch, jax, OpenCV and Python itself say of an integer that they cannot hold.
_TOO_LARGE = re.compile(
    r"2\*\*32|[Oo]verflow|too large to convert|greater than maximum|out of bounds for u?int|does(n't| not) fit",
    re.ASCII,
)


@dataclass(frozen=True)
class Request:
    """One run of one generator for one competition.

    Attributes:
        shard: (I, N): every N-th prompt beginning with the I-th, 0 <= I < N.
        limit: only the first so many prompts.
        batch_size: what the command line says; the competition's or the generator's own otherwise.
        device, precision: as `baselines.hardware.decide` reads them.
        check: called with the manifest before anything is drawn; it raises UsageError where it is not the one wanted.
    """

    recipe: Recipe
    competition: Competition
    seed: int = 0
    shard: tuple[int, int] = (0, 1)
    limit: int | None = None
    batch_size: int | None = None
    device: str = "auto"
    precision: str = "auto"
    check: Callable[[Manifest], None] = lambda manifest: None

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
    def prompts(self) -> tuple[Prompt, ...]:
        """Those of this shard within the limit."""
        first, step = self.shard
        return tuple(self.competition.prompts[: self.limit][first::step])

    @cached_property
    def hardware(self) -> Hardware:
        """Where and how it computes. Raises UsageError, MissingPart."""
        return hardware_for(self.recipe, self.device, self.precision)

    @property
    def requested(self) -> dict[str, Any]:
        """The options that were given, for the manifest: a path by its last part, for its contents are hashed there
        and its place is nobody's business."""
        options = dict(self.recipe.options)
        if "weights" in options and Path(options["weights"]).exists():
            options["weights"] = Path(options["weights"]).resolve().name
        if batch_size := self.batch_size or self.recipe.batch_size:
            options["batch_size"] = batch_size
        return options

    @property
    def sources(self) -> dict[str, Path]:
        """A participant's file and what it has imported of its folder; the file was run to make the recipe."""
        return {} if self.recipe.source is None else participant.sources(self.recipe.source)


@dataclass(frozen=True)
class Outcome:
    """`drawn` images now, of the `asked` ones in shard and limit; `complete`: those of all prompts are there."""

    drawn: int
    asked: int
    complete: bool


def draw(request: Request, out: Path, *, overwrite: bool = False) -> Outcome:
    """Draw what `out` still lacks of the request. When nothing is missing the generator is not even loaded.

    Raises:
        UsageError: `out` holds what other settings drew, or something else, and not `overwrite`.
        GeneratorError: the generator raises or returns no images; what was drawn before is kept.
        MissingPart, CompetitionError: from loading the generator.
    """
    model, competition, prompts = request.recipe.model, request.competition, request.prompts
    names = [prompt.image_name for prompt in prompts]
    existing = None if overwrite else manifest_in(out, competition)
    if existing and drew(request, existing):
        finished = SubmissionWriter(out, competition, existing)
        if not finished.missing(names):
            return Outcome(0, len(names), finished.finish())
    print_cost(request.hardware)
    generator = request.recipe.load(request.hardware)
    begun = not overwrite and out.is_dir() and bool(FolderFiles(out).names)
    if begun and existing is None:  # by another shard, while this one was loading: the manifest is there first
        existing = manifest_in(out, competition)
    manifest = manifest_of(request, describe(model, generator), existing)
    batch_size = manifest.settings["batch_size"]
    assert isinstance(batch_size, int)

    # The manifest says how images were resized, and only the first image tells: a new folder is made after it.
    writer = SubmissionWriter(out, competition, manifest) if begun else None
    missing = set(names if writer is None else writer.missing(names))
    todo = [prompt for prompt in prompts if prompt.image_name in missing]
    drawn, already = 0, len(names) - len(todo)
    with Progress(f"drawing with {model}", len(names), done=already) as progress:
        try:
            for batch, images in batches(model, generator, todo, request.seed, batch_size):
                resizing = resizing_of(images, competition)
                if writer is None:
                    manifest = manifest.model_copy(update={"resizing": resizing})
                    writer = SubmissionWriter(out, competition, manifest, overwrite=overwrite)
                elif resizing != manifest.resizing:
                    raise GeneratorError(
                        f"{model} now draws images of another size than before:"
                        f" {resizing or 'as asked'}, earlier {manifest.resizing or 'as asked'}"
                    )
                for prompt, image in zip(batch, images, strict=True):
                    writer.write(prompt.image_name, resized(image, competition.size_of(prompt.image_name)))
                    drawn += 1
                progress.advance(len(batch))
        except GeneratorError as error:
            if kept := already + drawn:
                error.add_note(f"  {kept} images are kept in {out}; the same command goes on from there")
            raise
    return Outcome(drawn, len(names), writer is not None and writer.finish())


def batches(
    model: str, generator: Generator, prompts: Sequence[Prompt], seed: int, batch_size: int
) -> Iterator[tuple[Sequence[Prompt], UInt8[np.ndarray, "b h w 3"]]]:
    for start in range(0, len(prompts), batch_size):
        batch = prompts[start : start + batch_size]
        texts = [prompt.text for prompt in filled(batch, batch_size)]
        seeds = [image_seed(seed, prompt.image_name) for prompt in filled(batch, batch_size)]
        doing = f"{model} failed on {batch[0].image_name}"
        if len(batch) > 1:
            doing += f" (a batch of {len(batch)}, to {batch[-1].image_name})"
        returned = call(doing, partial(generator.generate, texts, seeds), _seed_hint)
        images = call(doing, partial(checked_images, doing, returned, batch_size))
        yield batch, images[: len(batch)]


def _seed_hint(error: BaseException) -> str:
    """For the generators of random numbers that take 32 or 63 bits."""
    kinds = ValueError | OverflowError | RuntimeError | TypeError
    if not (isinstance(error, kinds) and _TOO_LARGE.search(str(error))):
        return ""
    return (
        "\n  seeds have 64 bits: np.random.default_rng(seed) and torch.Generator().manual_seed(seed) take them;"
        " for others, seed % 2**32"
    )


def resizing_of(images: UInt8[np.ndarray, "b h w 3"], competition: Competition) -> str | None:
    """What `resized` does to the images, in words for the manifest; None when nothing."""
    height, width = images.shape[1:3]
    if competition.sizes <= {None, (width, height)}:
        return None
    to = "x".join(map(str, competition.common_size)) if competition.common_size else "its reference's size"
    return f"Pillow Lanczos, {width}x{height} to {to}"


def resized(image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int] | None) -> UInt8[np.ndarray, "i j 3"]:
    """The image in `size` (width, height) by Pillow's Lanczos; as it is when it has that size already."""
    if size is None or image.shape == (size[1], size[0], 3):
        return image
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.LANCZOS))


def manifest_of(request: Request, description: Description, existing: Manifest | None) -> Manifest:
    """The manifest of the loaded generator.

    The resizing is not known before the first image: `existing`'s is taken. So is what `existing` was asked, when the
    same settings came of it: a default that is now spelled out draws the same images.

    Raises:
        GeneratorError: what the generator says about itself is too long or not printable.
        UsageError: it is not what is to be drawn again.
    """
    recipe, requested = request.recipe, request.requested
    settings = {**description.settings, "batch_size": request.batch_size or recipe.batch_size or description.batch_size}
    notes = list(description.notes)
    if recipe.uses_device:
        settings["device"] = request.hardware.kind
    if recipe.tolerates:
        settings["precision"] = request.hardware.precision
        notes.append(f"precision {request.hardware.precision} on {request.hardware.kind}: {request.hardware.reason}")
    source = {name: file_sha256(file) for name, file in request.sources.items()}
    manifest = call(
        f"{recipe.model}: what it says about itself does not fit into a manifest",
        lambda: Manifest(
            competition=request.competition.name,
            model=recipe.model,
            weights=source | description.weights,
            seed=request.seed,
            settings=settings | {"requested": requested},
            resizing=existing.resizing if existing else None,
            versions={package: version(package) for package in ("numpy", "pillow", *recipe.packages)},
            notes=notes,
        ),
    )
    request.check(manifest)
    earlier = existing.settings.get("requested") if existing else None
    if existing and isinstance(earlier, dict):
        reworded = {key for key in earlier | requested if earlier.get(key) != requested.get(key)}
        # An option that the settings do not repeat may have done anything.
        repeated = settings.keys() | ({"weights"} if description.weights else set())
        same_but_for_words = manifest.model_copy(update={"settings": settings | {"requested": earlier}})
        if reworded <= repeated and not existing.differences(same_but_for_words):
            return same_but_for_words
    return manifest


def manifest_in(out: Path, competition: Competition) -> Manifest | None:
    """The manifest that the folder `out` has, if it has a valid one for this competition."""
    if not out.is_dir():
        return None
    names = [prompt.image_name for prompt in competition.prompts]
    manifest, problems = read_manifest(FolderFiles(out), competition.name, names)
    return None if problems else manifest


def drew(request: Request, manifest: Manifest) -> bool:
    """Whether the request drew what `manifest` describes, as far as that is known without loading the generator.

    False only means that it has to be loaded to know, as is so for a participant's own that has other settings than its
    class has: where it reads them is known to nobody else. `auto` agrees with any device and precision: what was drawn
    elsewhere is not drawn again because this chip would round differently.
    """

    def agrees(setting: str, asked: str) -> bool:
        return asked in ("auto", manifest.settings.get(setting, asked))

    recipe = request.recipe
    own = {name: value for name, value in manifest.settings.items() if name not in _ASKED_FOR}
    return (
        (manifest.competition, manifest.model, manifest.seed) == (request.competition.name, recipe.model, request.seed)
        and manifest.settings.get("requested") == request.requested
        and agrees("device", request.device.partition(":")[0])
        and agrees("precision", request.precision)
        and (recipe.source is None or own == recipe.settings)
        and _are_all_among(set(manifest.weights.values()), [*recipe.files, *request.sources.values()])
    )


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
