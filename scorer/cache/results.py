"""Whole results, kept by what was scored and how: the same submission again answers without running a network.

A result is found by its content alone, in this machine's cache: never beside a submission, whose author could write
anything there. It is believed only when its checksum holds, when it was kept under this very name, and when the hash of
the submission's bytes, read anew, is the one that was scored. Anything else that decides a scorecard is in the name:
the fingerprint, the competition and its files, the options, the packages, this code.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from scorer.decoding import ahead
from submission import Competition, Scorecard, Submission, atomic
from submission.hashes import content_sha256, file_sha256, json_sha256
from submission.images import max_file_bytes
from submission.paths import cache_home, submissions_home
from submission.safe_read import NotReadable, read_regular

FOLDER = "results"
FORMAT = 2
_REPOSITORY = Path(__file__).parents[2]
_ROOMS = (_REPOSITORY / "scorer", _REPOSITORY / "submission")  # whose code decides numbers
_PACKAGES = ("numpy", "open_clip_torch", "pillow", "scipy", "torch", "torchvision")
_AHEAD = 64  # files read at a time
_MAX_BYTES = 2**30


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
        "format": FORMAT,
        "code": code_sha256(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "competition": repr(competition),
        # But for the references, whose content the fingerprint has.
        "files": {
            f"{what} {path.name}": file_sha256(path) if path.is_file() else ""
            for what, path in competition.data_files()
            if what != "references"
        },
        "manifest": submission.manifest.model_dump_json() if submission.manifest else None,
        "notes": submission.notes,
        "sizes": sizes,
    }
    return cache_home() / FOLDER / f"{json_sha256(everything)[:32]}.json"


def code_sha256() -> dict[str, str]:
    """The hash of each Python file of the rooms that decide numbers, by its place in them, however deep."""
    return {
        str(file.relative_to(room.parent)): file_sha256(file) for room in _ROOMS for file in sorted(_python_files(room))
    }


def _python_files(room: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(room):
        # What people draw lies in the room's folder, and is not its code.
        folders[:] = [name for name in folders if Path(folder) / name != submissions_home()]
        yield from (Path(folder) / name for name in files if name.endswith(".py"))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # a package that was not installed by pip: torch tells of itself in the facts
        return None


def read(file: Path, submission: Submission) -> tuple[Scorecard, dict[str, list[float]]] | None:
    """The scorecard and the per-image columns of the very bytes of `submission`; None when there are none."""
    try:
        kept = json.loads(read_regular(file, _MAX_BYTES))
        if kept["sha256"] != _checksum(file, kept):
            return None
        card = Scorecard.from_json(json.dumps(kept["card"]))
        columns = {str(name): [float(value) for value in values] for name, values in kept["columns"].items()}
        files = kept["files"]
    except (NotReadable, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if any(len(values) != card.n for values in columns.values()):
        return None
    try:
        return (card, columns) if _sha256(submission) == files else None
    except NotReadable:
        return None


def write(file: Path, card: Scorecard, columns: Mapping[str, list[float]], files_sha256: str) -> None:
    """Keep the result of the files with that content hash. A cache folder that cannot be written to costs time, nothing
    else."""
    kept = {"files": files_sha256, "card": card.to_dict(), "columns": dict(columns)}
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic.remove_leftovers(file.parent)
        atomic.write_text(file, json.dumps({"sha256": _checksum(file, kept), **kept}, allow_nan=False))


def _checksum(file: Path, kept: Mapping[str, Any]) -> str:
    """Of the values and of the name they are kept under: neither a flipped bit nor another result's file is believed.

    It guards against accidents. Who can write into this folder is trusted, see SECURITY.md.
    """
    values = {name: kept[name] for name in ("files", "card", "columns")}
    text = json.dumps([file.name, values], sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _sha256(submission: Submission) -> str:
    """The content hash of the submission's bytes, read anew. Raises NotReadable."""
    limit = max_file_bytes(submission.competition.image_size)

    def digest(name: str) -> str:
        return hashlib.sha256(submission.files.read(name, limit)).hexdigest()

    return content_sha256(dict(zip(submission.names, ahead(digest, submission.names, _AHEAD), strict=True)))
