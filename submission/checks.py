"""Every rule of a valid submission. A check reports all that it finds and never stops at the first problem."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import PurePath

import numpy as np

from submission.archive import ZipFiles
from submission.errors import Problem
from submission.files import FolderFiles
from submission.images import ImageProblem, max_file_bytes, read_image
from submission.manifest import MANIFEST_NAME, Manifest, max_manifest_bytes
from submission.names import clash_key
from submission.safe_read import NotReadable

_NAME_EXACTLY = "name images exactly as the competition's prompt list does"
_REMOVE_MANIFEST = "draw the submission again, or remove submission.json: a folder of images is valid without it"


def check_names(found: Sequence[str], expected: Sequence[str], known: Iterable[Problem] = ()) -> list[Problem]:
    """Images that are missing and files that are too many. A name in the `known` problems is not reported again."""
    problems = []
    reported = {problem.name for problem in known}
    wanted = set(expected)
    by_clash = {clash_key(name): name for name in expected}
    by_stem = {clash_key(PurePath(name).stem): name for name in expected}
    extra = [name for name in found if name not in wanted and name != MANIFEST_NAME]
    present = set(found)
    for name in extra:
        if (meant := by_clash.get(clash_key(name))) is not None and meant not in present:
            problems.append(Problem(name, "differs in case from the name that the prompts give", _NAME_EXACTLY))
            reported.add(meant)
        elif (meant := by_stem.get(clash_key(PurePath(name).stem))) is not None and meant not in present:
            suffix = PurePath(meant).suffix
            problems.append(Problem(name, f"should be a {suffix} file", f"save the image as {suffix[1:].upper()}"))
            reported.add(meant)
        else:
            problems.append(Problem(name, "is not named by any prompt", "remove it"))
    missing = [name for name in expected if name not in present and name not in reported]
    if len(found) > 1 and len(missing) == len(expected):  # another folder than the one that was meant
        what = f"it holds none of the {len(expected)} images that the prompts name, such as {expected[0]}"
        return [Problem("", what, "a submission is a folder (or zip) of one image for each prompt"), *problems]
    return [Problem(name, "is missing", "every prompt needs its image") for name in missing] + problems


def read_manifest(
    files: FolderFiles | ZipFiles, competition: str, expected: Sequence[str]
) -> tuple[Manifest | None, list[Problem]]:
    """The manifest, None when there is none or it cannot be trusted, and what is wrong with it."""
    if MANIFEST_NAME not in files.names:
        return None, []
    try:
        manifest = Manifest.parse(files.read(MANIFEST_NAME, max_manifest_bytes(len(expected))))
    except NotReadable as error:
        return None, [Problem(MANIFEST_NAME, str(error), _REMOVE_MANIFEST)]
    except ValueError as error:
        return None, [Problem(MANIFEST_NAME, line, _REMOVE_MANIFEST) for line in str(error).splitlines()]
    problems = []
    if manifest.competition != competition:
        what = f"was drawn for the competition {manifest.competition!r}, not for {competition!r}"
        problems.append(Problem(MANIFEST_NAME, what, "check it against the competition that it was drawn for"))
    elif manifest.images and manifest.images.keys() != set(expected):
        problems.append(Problem(MANIFEST_NAME, "lists other images than the prompts name", _REMOVE_MANIFEST))
    return manifest, problems


def read_checked(
    files: FolderFiles | ZipFiles, name: str, size: int | None, listed_sha256: str | None
) -> tuple[bytes, np.ndarray, str]:
    """One image: the file's bytes, the decoded array, the sha256 of the bytes. Raises ImageProblem."""
    try:
        data = files.read(name, max_file_bytes(size))
    except NotReadable as error:
        raise ImageProblem(str(error), "put the image itself there") from None
    array = read_image(data, size)
    digest = hashlib.sha256(data).hexdigest()
    if listed_sha256 not in (None, digest):
        raise ImageProblem("has other bytes than submission.json lists", _REMOVE_MANIFEST)
    return data, array, digest
