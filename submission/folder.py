"""A submission, opened: a folder or a zip of exactly the images that the prompts name, perhaps with a manifest."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from submission import commands, jpeg
from submission.archive import open_files
from submission.checks import check_names, read_checked, read_manifest
from submission.competition import Competition
from submission.errors import Problem, SubmissionError
from submission.image_hashes import pixel_sha256
from submission.images import ImageProblem, max_file_bytes
from submission.manifest import max_manifest_bytes
from submission.progress import track
from submission.references import content_sha256, size_problem
from submission.safe_read import NotReadable
from submission.zip_directory import max_entries


class Submission:
    """A submission to `competition`. Made by `Submission.open`.

    `names` are the images that are there, in prompt order; `problems` what is wrong so far; `notes` what was tolerated;
    `manifest` is None for a bare folder of images.
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
        self._hashes: dict[str, str] = {}
        self._jpegs: set[str] = set()  # images that are JPEG files, whatever their names end in
        self._pixels: dict[str, str] = {}

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], competition: Competition, verify: bool = True, *, progress: bool = False
    ) -> Submission:
        """Open a folder or zip.

        `verify=True` decodes every image, compares sizes with the references' where the competition names none, and
        raises SubmissionError with all problems at once. `verify=False` looks at
        names, links and the manifest only, keeps what it finds in `problems`, and leaves the images to `read`, so that
        a scorer decodes them once; it must end with `raise_if`.
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
