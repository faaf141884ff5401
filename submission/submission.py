"""A submission, opened: a folder or a zip of exactly the images that the prompts name, perhaps with a manifest.

A check of it reports all that it finds and never stops at the first problem.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from types import MappingProxyType

import numpy as np

from submission import commands, jpeg
from submission.archive import Files, max_entries, open_files
from submission.competition import Competition
from submission.errors import Problem, SubmissionError
from submission.hashes import content_sha256, pixel_sha256
from submission.image_names import clash_key
from submission.images import ImageProblem, max_file_bytes, read_image
from submission.manifest import MANIFEST_NAME, Manifest, max_manifest_bytes
from submission.progress import track
from submission.references import size_problem
from submission.safe_read import NotReadable

_NAME_EXACTLY = "name images exactly as the competition's prompt list does"
_REMOVE_MANIFEST = "draw the submission again, or remove submission.json: a folder of images is valid without it"


class Submission:
    """A submission to `competition`. Made by `Submission.open`.

    `names` are the images that are there, in prompt order; `problems` what is wrong so far; `notes` what was tolerated;
    `manifest` is None for a bare folder of images; `hashes` and `pixels` the sha256 of the bytes and of the pixels of
    each image that was read.
    """

    def __init__(self, path: str | os.PathLike[str], competition: Competition) -> None:
        self.path = Path(path)
        self.competition = competition
        self.expected = tuple(prompt.image_name for prompt in competition.prompts)
        count = len(self.expected)
        limit = count * max_file_bytes(competition.image_size) + max_manifest_bytes(count)
        try:
            self.files = open_files(self.path, limit, max_entries(count))
        except NotReadable as error:
            hint = "a submission is a folder of images, or a zip of them; "
            hint += f"`{commands.make('submission', 'baselines MODEL')}` draws one"
            raise SubmissionError([Problem("", str(error), hint)], str(path)) from None
        self.manifest, problems = read_manifest(self.files, competition.name, self.expected)
        names = check_names(self.files.names, self.expected, self.files.problems)
        self.problems = self.files.problems + problems + names
        self.notes = list(self.files.notes)
        present = set(self.files.names)
        self.names = tuple(name for name in self.expected if name in present)
        self._jpegs: set[str] = set()  # images that are JPEG files, whatever their names end in
        self._hashes: dict[str, str] = {}
        self._pixels: dict[str, str] = {}

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], competition: Competition, verify: bool = True, *, progress: bool = False
    ) -> Submission:
        """Open a folder or zip.

        `verify=True` decodes every image, compares sizes with the references' where the competition names none, and
        raises SubmissionError with all problems at once. `verify=False` looks at names, links and the manifest only,
        keeps what it finds in `problems`, and leaves the images to `read`, so that a scorer decodes them once; it must
        end with `raise_if`.
        """
        submission = cls(path, competition)
        if verify:
            problems = []
            shapes = competition.reference_shapes
            for name in track(submission.names, "checking images", show=progress):
                try:
                    shape = submission.read(name)[1].shape
                except ImageProblem as error:
                    problems.append(error.problem(name))
                else:
                    if problem := size_problem(name, shape, shapes.get(name, shape)):
                        problems.append(problem)
            submission.raise_if(problems)
        return submission

    def read(self, name: str) -> tuple[bytes, np.ndarray]:
        """The bytes of one image and its pixels, uint8 (H, W, 3). Raises ImageProblem.

        The pixels that are hashed for `sha256` are these very pixels; a file that changes between two reads is refused.
        """
        listed = self.manifest.images.get(name) if self.manifest else None
        data, array, digest = read_checked(self.files, name, self.competition.image_size, listed)
        if self._hashes.setdefault(name, digest) != digest:
            raise ImageProblem("changed while it was being read", "wait until nothing writes to the submission")
        if data.startswith(jpeg.SIGNATURE):
            self._jpegs.add(name)
        if name not in self._pixels:
            self._pixels[name] = pixel_sha256(array)
        return data, array

    @property
    def disguised(self) -> list[str]:
        """The images read so far whose names promise PNG, which loses nothing, and which are JPEG files."""
        return [name for name in self.names if name in self._jpegs and name.lower().endswith(".png")]

    @property
    def image_notes(self) -> list[str]:
        """What is tolerated in the images read so far, and should be known."""
        if not self.disguised:
            return []
        of = f"{len(self.disguised)} of {len(self.expected)} images, such as {self.disguised[0]},"
        return [f"{of} are JPEG files under names in .png: what JPEG lost is measured too; save them as PNG"]

    @property
    def hashes(self) -> Mapping[str, str]:
        """The sha256 of the bytes of each image that was read: a view, because a copy for each image takes N² time."""
        return MappingProxyType(self._hashes)

    @property
    def pixels(self) -> Mapping[str, str]:
        """The sha256 of the pixels of each image that was read, as `hashes`."""
        return MappingProxyType(self._pixels)

    def take_hashes(self, hashes: Mapping[str, str], pixels: Mapping[str, str], disguised: Iterable[str] = ()) -> None:
        """What other processes have read: the hashes, so that `sha256` need not read them again, and `disguised`."""
        self._hashes.update(hashes)
        self._pixels.update(pixels)
        self._jpegs.update(disguised)

    @property
    def sha256(self) -> str:
        """What makes two submissions the same: sha256 over the sorted "name\\0sha256(pixels)\\n".

        Neither the manifest nor how a file holds its pixels has a part in it: copies that were written again, or that
        something was appended to, are the same submission. Reads the images that `read` has not seen. Raises
        ImageProblem.
        """
        for name in self.names:
            if name not in self._pixels:
                self.read(name)
        return content_sha256(self._pixels)

    def raise_if(self, problems: Sequence[Problem] = ()) -> None:
        """Raise SubmissionError when there are problems, those found on opening and the given ones together."""
        if self.problems or problems:
            raise SubmissionError([*self.problems, *problems], str(self.path))


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


def read_manifest(files: Files, competition: str, expected: Sequence[str]) -> tuple[Manifest | None, list[Problem]]:
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


def read_checked(files: Files, name: str, size: int | None, listed_sha256: str | None) -> tuple[bytes, np.ndarray, str]:
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
