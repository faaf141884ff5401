"""What a score depends on besides the submission: the networks, the references, and the fingerprint that names them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scorer.metrics import PROTOCOL
from scorer.networks.clip import find_clip
from scorer.networks.inception import Backbone, find_inception
from scorer.networks.protocols import PROTOCOLS
from submission import Competition, CompetitionError, MissingPart
from submission.errors import shown
from submission.references import References
from submission.statistics import Statistics, how_to_make


@dataclass(frozen=True)
class Setup:
    """The networks, found but not read yet; the references, or `no_references`, the reason why there are none; the
    precomputed statistics to measure FID against and the hashes of the training images, if any; and the fingerprint."""

    inception: Backbone
    clip: Backbone
    references: References | None
    no_references: str | None
    statistics: Statistics | None
    training_hashes: np.ndarray | None
    fingerprint: dict[str, str | int | None]


def prepare(
    competition: Competition,
    n: int,
    inception_weights: Path | None,
    clip_weights: Path | None,
    precision: str,
    trust_weights: bool = False,
) -> Setup:
    """Find all that scoring n images needs. Raises MissingPart, CompetitionError, UsageError."""
    references, no_references = _references(competition)
    statistics = competition.statistics()
    backbones = competition.backbones
    inception = find_inception(backbones.inception, inception_weights, precision, trust_weights)
    if statistics is not None:
        _check(statistics, backbones.inception, inception.sha256)
    clip = find_clip(backbones.clip, _clip_weights(competition), clip_weights, precision)
    # Everything that decides the numbers but the submission; scorecards with equal fingerprints rank together.
    fingerprint = {
        "protocol": PROTOCOL,
        "competition": competition.name,
        "inception": inception.name,
        "inception_sha256": inception.sha256,
        "clip": clip.name,
        "clip_sha256": clip.sha256,
        "references_sha256": references.sha256 if references is not None else None,
        "statistics_sha256": competition.statistics_sha256,
        "prompts_sha256": competition.prompts_sha256,
        "n": n,
    }
    return Setup(inception, clip, references, no_references, statistics, competition.training_hashes(), fingerprint)


def _check(statistics: Statistics, protocol: str, sha256: str) -> None:
    """Raises CompetitionError when the statistics were not made with this network."""
    again = how_to_make(protocol)
    if statistics.inception not in (None, protocol):
        raise CompetitionError(
            f"the competition's statistics were made with the Inception {shown(statistics.inception)!r}, and its"
            f" backbones.inception is {protocol!r}\n  {again}"
        )
    if statistics.inception_sha256 not in (None, sha256):
        raise CompetitionError(
            f"the competition's statistics were made with other weights of {protocol!r}"
            f" ({shown(statistics.inception_sha256[:12])}…, here {sha256[:12]}…)\n  {again}"
        )
    if (d := PROTOCOLS[protocol].features) != len(statistics.mean):
        raise CompetitionError(
            f"the competition's statistics have {len(statistics.mean)} features, its Inception {d}: "
            f"they were made with another network\n  {again}"
        )


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
