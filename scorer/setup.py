"""What a score depends on besides the submission: how to score, the networks, the references, and their fingerprint."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from scorer.device import PRECISIONS, pick_device
from scorer.networks.clip import Clip, find_clip
from scorer.networks.inception import Inception, find_inception
from scorer.networks.protocols import PROTOCOLS
from scorer.parallel import ALONE, Processes
from submission import Competition, CompetitionError, MissingPart
from submission.errors import UsageError, shown
from submission.references import References
from submission.statistics import Statistics, how_to_make

# Raised whenever the same images and weights would get other numbers; rows of different protocols never rank together.
PROTOCOL = 1


@dataclass(frozen=True)
class Settings:
    """How to score.

    Attributes:
        device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N".
        batch_size: images per batch; it moves scores by rounding only.
        limit: score only the first so many prompts, for trying out; such a scorecard does not rank.
        inception_weights: Inception's weights on disk, instead of the standard places.
        clip_weights: CLIP's weights on disk, instead of what the competition names.
        trust_weights: whether the code in a TorchScript file of Inception may run, where its numbers alone are no
            network that is known here.
        extra: whether to measure KID, PRDC and CMMD as well, from the same features.
        precision: "exact" (float32, the reference implementations' numbers) or "fast" (bfloat16: other numbers, under
            another fingerprint).
        cache: whether to use and keep what is known of references, prompts and submissions that were scored before.
        processes: those that score together; each returns the same scorecard, the first one writes.
        progress: whether to show progress on stderr.

    Raises:
        UsageError: a device, limit, precision or batch size that cannot be.
    """

    device: str = "auto"
    batch_size: int = 64
    limit: int | None = None
    inception_weights: str | os.PathLike[str] | None = None
    clip_weights: str | os.PathLike[str] | None = None
    trust_weights: bool = False
    extra: bool = False
    precision: str = "exact"
    cache: bool = True
    processes: Processes = ALONE
    progress: bool = True

    def __post_init__(self) -> None:
        if self.batch_size < 1 or (self.limit is not None and self.limit < 1):
            raise UsageError("the batch size and the limit are at least 1")
        if self.precision not in PRECISIONS:
            raise UsageError(f"precision {self.precision!r}: write one of {', '.join(PRECISIONS)}")
        _ = self.where

    @cached_property
    def where(self) -> torch.device:
        return pick_device(self.device)

    @property
    def caches(self) -> bool:
        """Whether anything is kept: not of a part of the prompts."""
        return self.cache and self.limit is None

    @property
    def shows_progress(self) -> bool:
        return self.progress and self.processes.first


class Setup:
    """What the images of a competition are measured with and against, found for these settings.

    Attributes:
        names: the images, in the order of the prompts.
        texts: the distinct prompts, and `text_rows` each image's place among them.
        references: None where there are none, and `no_references` the reason why.
        statistics: precomputed ones to measure FID against, if any.
        inception: a network that is found, but not read yet; as `clip`.
        fingerprint: everything that decides the numbers but the submission; scorecards with equal ones rank together.
        training_hashes: of the training images, if any.

    Raises:
        MissingPart, CompetitionError, UsageError: what is needed and not on this machine, or wrong.
    """

    def __init__(self, competition: Competition, settings: Settings) -> None:
        self.settings = settings
        prompts = competition.prompts[: settings.limit]
        self.names = [prompt.image_name for prompt in prompts]
        self.texts, self.text_rows = distinct([prompt.text for prompt in prompts])
        self.references, self.no_references = _references(competition)
        self.statistics = competition.statistics()
        backbones, precision = competition.backbones, settings.precision
        inception_weights, clip_weights = _path(settings.inception_weights), _path(settings.clip_weights)
        self.inception = find_inception(backbones.inception, inception_weights, precision, settings.trust_weights)
        if self.statistics is not None:
            _check(self.statistics, backbones.inception, self.inception.sha256)
        self.clip = find_clip(backbones.clip, _clip_weights(competition), clip_weights, precision)
        self.fingerprint: dict[str, str | int | None] = {
            "protocol": PROTOCOL,
            "competition": competition.name,
            "inception": self.inception.name,
            "inception_sha256": self.inception.sha256,
            "clip": self.clip.name,
            "clip_sha256": self.clip.sha256,
            "references_sha256": self.references.sha256 if self.references is not None else None,
            "statistics_sha256": competition.statistics_sha256,
            "prompts_sha256": competition.prompts_sha256,
            "n": len(prompts),
        }
        self.training_hashes = competition.training_hashes()

    @cached_property
    def networks(self) -> tuple[Inception, Clip]:
        """Both, read. Raises MissingPart for files that hold other networks."""
        return self.inception.load(self.settings.where), self.clip.load(self.settings.where)


def distinct(texts: Sequence[str]) -> tuple[list[str], list[int]]:
    """The distinct texts in order of appearance, and for each text its place among them."""
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    return list(places), [places[text] for text in texts]


def _path(path: str | os.PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path).expanduser()


def _check(statistics: Statistics, protocol: str, sha256: str) -> None:
    """Raises CompetitionError when the statistics were not made with this network."""
    d, found = PROTOCOLS[protocol].features, len(statistics.mean)
    if statistics.inception not in (None, protocol):
        inception = shown(statistics.inception)
        wrong = f"were made with the Inception {inception!r}, and its backbones.inception is {protocol!r}"
    elif statistics.inception_sha256 not in (None, sha256):
        theirs = shown(statistics.inception_sha256[:12])
        wrong = f"were made with other weights of {protocol!r} ({theirs}…, here {sha256[:12]}…)"
    elif d != found:
        wrong = f"have {found} features, its Inception {d}: they were made with another network"
    else:
        return
    raise CompetitionError(f"the competition's statistics {wrong}\n  {how_to_make(protocol)}")


def _references(competition: Competition) -> tuple[References | None, str | None]:
    """The references, or None and the reason; a competition with precomputed statistics can do without them."""
    if not competition.has_references and competition.files["statistics"] is not None:
        return None, "the competition has precomputed statistics, no reference images"
    try:
        return competition.references(), None
    except MissingPart as error:
        if competition.files["statistics"] is None:
            raise
        return None, f"the reference images are not on this machine ({str(error).splitlines()[-1].strip()})"


def _clip_weights(competition: Competition) -> str | None:
    """The competition's clip_weights: a file beside its toml if there is one of that name, else a tag."""
    text = competition.backbones.clip_weights
    if text is None:
        return None
    path = competition.path(text)
    return str(path) if path.is_file() or Path(text).suffix in (".safetensors", ".pt", ".bin", ".pth") else text
