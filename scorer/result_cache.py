"""Whole results, kept by what was scored and how: the same submission again answers without running a network.

A result is believed only when the hash of the submission's bytes, read anew, is the one that was scored. Anything else
that decides a scorecard is in the file's name: the fingerprint, the competition, the options, this code.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scorer.decoding import ahead
from submission import Competition, Scorecard, Submission, atomic
from submission.hashes import file_sha256
from submission.images import max_file_bytes
from submission.paths import cache_home
from submission.references import content_sha256
from submission.safe_read import NotReadable

FOLDER = "results"
_CODE = (Path(__file__).parent, Path(__file__).parent.parent / "submission")
_AHEAD = 64  # files read at a time


def result_file(submission: Submission, competition: Competition, facts: Mapping[str, Any]) -> Path | None:
    """Where the result of this submission is kept; None for one that cannot be read.

    The sizes of the images are part of the name, so that the bytes of a submission that was never scored are not read
    only to find that out.
    """
    try:
        sizes = {name: submission.files.size(name) for name in submission.names}
    except OSError:
        return None
    everything = {
        **facts,
        "code": [file_sha256(file) for folder in _CODE for file in sorted(folder.glob("*.py"))],
        "competition": repr(competition),
        "files": _files_of(competition),
        "manifest": submission.manifest.model_dump_json() if submission.manifest else None,
        "notes": submission.notes,
        "sizes": sizes,
    }
    digest = hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:32]
    return cache_home() / FOLDER / f"{digest}.json"


def _files_of(competition: Competition) -> dict[str, str]:
    """The hashes of what the competition names beside prompts and references, whose hashes the fingerprint has."""
    hashes = {}
    for key, text in competition.files.items():
        if key not in ("prompts", "references", "statistics") and isinstance(text, str):
            path = competition.path(text)
            hashes[key] = file_sha256(path) if path.is_file() else ""
    return hashes


def read(file: Path, submission: Submission) -> tuple[Scorecard, dict[str, list[float]]] | None:
    """The scorecard and the per-image columns of the very bytes of `submission`; None when there are none."""
    try:
        kept = json.loads(file.read_bytes())
        card = Scorecard.from_json(json.dumps(kept["card"]))
        columns = {str(name): [float(value) for value in values] for name, values in kept["columns"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    if any(len(values) != card.n for values in columns.values()) or _sha256(submission) != kept["files"]:
        return None
    return card, columns


def write(file: Path, card: Scorecard, columns: Mapping[str, list[float]], files_sha256: str) -> None:
    """Keep the result of the files with that content hash. A cache folder that cannot be written to costs time, nothing
    else."""
    kept = {"files": files_sha256, "card": card.to_dict(), "columns": dict(columns)}
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic.remove_leftovers(file.parent)
        atomic.write_text(file, json.dumps(kept, allow_nan=False))


def _sha256(submission: Submission) -> str | None:
    limit = max_file_bytes(submission.competition.image_size)

    def digest(name: str) -> str | None:
        try:
            return hashlib.sha256(submission.files.read(name, limit)).hexdigest()
        except NotReadable:
            return None

    hashes = dict(zip(submission.names, ahead(digest, submission.names, _AHEAD), strict=True))
    return None if None in hashes.values() else content_sha256(hashes)
