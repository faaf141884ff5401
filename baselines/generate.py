"""The one loop: prompts -> batches -> images -> folder.

An image depends on its own prompt and seed only. A generator is always given batches of one and the same size, because
kernels for another shape may round differently: the last batch is filled up with its last prompt, and what comes of
the filling is thrown away. So neither order nor shards nor a run that was killed in between changes a byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from baselines.generator import Generator, GeneratorError, call, checked_images, describe
from baselines.hardware import say_cost
from baselines.request import Request, manifest_in
from submission import Competition, Manifest, Prompt, SubmissionWriter, image_seed
from submission.files import FolderFiles
from submission.progress import Progress

# What numpy, torch, jax, OpenCV and Python itself say of an integer that they cannot hold.
_TOO_LARGE = re.compile(
    r"2\*\*32|[Oo]verflow|too large to convert|greater than maximum|out of bounds for u?int|does(n't| not) fit",
    re.ASCII,
)


@dataclass(frozen=True)
class Outcome:
    """`drawn` images now, of the `asked` ones in shard and limit; `complete`: those of all prompts are there."""

    drawn: int
    asked: int
    complete: bool


def draw(request: Request, out: Path, *, overwrite: bool = False) -> Outcome:
    """Draw what `out` still lacks of the request. When nothing is missing the generator is not even loaded.

    Raises:
        UsageError: `out` holds what other settings drew, or something else, and `overwrite` was not said.
        GeneratorError: the generator raises or returns no images; what was drawn before is kept.
        MissingPart, CompetitionError: from loading the generator.
    """
    existing = None if overwrite else manifest_in(out, request.competition)
    if existing and request.drew(existing):
        writer = SubmissionWriter(out, request.competition, existing)
        if not writer.missing(request.names):
            return Outcome(0, len(request.names), writer.finish())
    return _draw(request, out, existing, overwrite)


def _draw(request: Request, out: Path, existing: Manifest | None, overwrite: bool) -> Outcome:
    model, competition = request.recipe.model, request.competition
    say_cost(request.hardware)
    generator = request.recipe.load(request.hardware)
    begun = not overwrite and out.is_dir() and bool(FolderFiles(out).names)
    if begun and existing is None:  # by another shard, while this one was loading: the manifest is there first
        existing = manifest_in(out, competition)
    manifest = request.manifest(describe(model, generator), existing)
    batch_size = manifest.settings["batch_size"]
    assert isinstance(batch_size, int)

    # The manifest says how images were resized, and only the first image tells: a new folder is made after it.
    writer = None
    missing = request.names
    if begun:
        writer = SubmissionWriter(out, competition, manifest)
        missing = writer.missing(request.names)
    todo = _in_prompt_order(request, set(missing))
    drawn = 0
    already = len(request.names) - len(todo)
    with Progress(f"drawing with {model}", len(request.names), done=already) as progress:
        try:
            for batch, images in _batches(model, generator, todo, request.seed, batch_size):
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
    return Outcome(drawn, len(request.names), writer is not None and writer.finish())


def _in_prompt_order(request: Request, names: set[str]) -> list[Prompt]:
    return [prompt for prompt in request.competition.prompts if prompt.image_name in names]


def _batches(
    model: str, generator: Generator, prompts: Sequence[Prompt], seed: int, batch_size: int
) -> Iterator[tuple[Sequence[Prompt], np.ndarray]]:
    """Each batch of prompts with its images, uint8 (len(batch), H, W, 3)."""
    for start in range(0, len(prompts), batch_size):
        batch = prompts[start : start + batch_size]
        padded = [*batch, *[batch[-1]] * (batch_size - len(batch))]
        texts = [prompt.text for prompt in padded]
        seeds = [image_seed(seed, prompt.image_name) for prompt in padded]
        doing = f"{model} failed on {batch[0].image_name}"
        if len(batch) > 1:
            doing += f" (a batch of {len(batch)}, to {batch[-1].image_name})"
        images = call(doing, lambda t=texts, s=seeds: generator.generate(t, s), _seed_hint)
        images = call(doing, lambda d=doing, i=images: checked_images(d, i, batch_size))
        yield batch, images[: len(batch)]


def _seed_hint(error: BaseException) -> str:
    """For the generators of random numbers that take 32 or 63 bits."""
    if not isinstance(error, ValueError | OverflowError | RuntimeError | TypeError) or not _TOO_LARGE.search(
        str(error)
    ):
        return ""
    return (
        "\n  seeds have 64 bits: np.random.default_rng(seed) and torch.Generator().manual_seed(seed) take them;"
        " for others, seed % 2**32"
    )


def resizing_of(images: np.ndarray, competition: Competition) -> str | None:
    """What `resized` does to images (B, H, W, 3), in words for the manifest; None when nothing."""
    height, width = images.shape[1:3]
    if competition.sizes <= {None, (width, height)}:
        return None
    to = "x".join(map(str, competition.common_size)) if competition.common_size else "its reference's size"
    return f"Pillow Lanczos, {width}x{height} to {to}"


def resized(image: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """(H, W, 3) uint8 to `size` (width, height) with Pillow's Lanczos; as it is when it has that size already."""
    if size is None or image.shape == (size[1], size[0], 3):
        return image
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.LANCZOS))
