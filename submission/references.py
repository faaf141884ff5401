"""The real images of a competition, same-named as the prompts' images, in a folder or a zip."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePath

import numpy as np

from submission.archive import open_files
from submission.errors import CompetitionError, Problem
from submission.hashes import content_sha256
from submission.image_names import SUFFIXES, clash_key
from submission.images import max_file_bytes, read_image
from submission.progress import in_threads
from submission.safe_read import NotReadable


def size_problem(name: str, image: tuple[int, ...], reference: tuple[int, ...]) -> Problem | None:
    """What is wrong when an image of the shape `image`, (H, W, 3), is compared with a reference of another one."""
    if image == reference:
        return None
    (height, width), (expected_height, expected_width) = image[:2], reference[:2]
    what = f"is {width}×{height} pixels, but its reference {expected_width}×{expected_height}"
    return Problem(name, what, "save each image at the size of its reference")


class References:
    """One reference per prompt. `names` is in prompt order; other files in the folder or zip are left alone.

    They are the host's own, so links are followed (the hub's cache, DVC and git-annex keep files so), and where no file
    has a prompt's very name, the one that differs in case or in an image's suffix is taken: `1.jpg` for `1.png`.
    """

    def __init__(self, path: Path, names: Sequence[str], size: int | None) -> None:
        self.path, self.names, self.size = path, tuple(names), size
        try:
            self._files = open_files(path, follow=True)
        except NotReadable as error:
            raise CompetitionError(f"{path}: the references' file {error}") from None
        self._file_of: dict[str, str] = {}
        if problems := list(self._found()):
            if not self._file_of:
                problems = [problem for problem in self._files.problems if problem.what == "is a folder"] + problems
            raise CompetitionError(f"{path}: a prompt without a same-named reference image", problems)

    def _found(self) -> Iterator[Problem]:
        """Fills `_file_of`; what is wrong with the names that have no file."""
        present = set(self._files.names)
        broken = {problem.name: problem for problem in self._files.problems}
        alike: dict[str, list[str]] = {}
        for file in (*self._files.names, *broken):
            if file.lower().endswith(SUFFIXES):
                alike.setdefault(clash_key(PurePath(file).stem), []).append(file)
        for name in self.names:
            is_there = name in present or name in broken
            candidates = [name] if is_there else alike.get(clash_key(PurePath(name).stem), [])
            if len(candidates) > 1:
                yield Problem(name, f"has several that could be its reference: {', '.join(candidates)}", "keep one")
            elif not candidates:
                yield Problem(name, "has no reference")
            elif candidates[0] in present:
                self._file_of[name] = candidates[0]
            else:
                yield broken[candidates[0]]

    def __len__(self) -> int:
        return len(self.names)

    def read_bytes(self, name: str) -> bytes:
        """The file of one reference. Raises CompetitionError."""
        try:
            return self._files.read(self._file_of[name], max_file_bytes(self.size))
        except NotReadable as error:
            raise CompetitionError(f"{self.path}: {name}: {error}") from None

    def read(self, name: str) -> np.ndarray:
        """One reference, uint8 (H, W, 3). Greyscale is repeated to three channels. Raises CompetitionError."""
        try:
            return self._read(name)
        except NotReadable as error:
            raise CompetitionError(f"{self.path}: {name}: {error}") from None

    def _read(self, name: str) -> np.ndarray:
        data = self._files.read(self._file_of[name], max_file_bytes(self.size))
        return read_image(data, self.size, grey=True)

    def shapes(self, *, progress: bool = False) -> dict[str, tuple[int, ...]]:
        """The shape (H, W, 3) of each reference, for which all are decoded.

        Raises CompetitionError that names every reference which is no image to compare with, and why.
        """

        def shape(name: str) -> tuple[int, ...] | Problem:
            try:
                return self._read(name).shape
            except NotReadable as error:
                return error.problem(name)

        found = dict(zip(self.names, in_threads(shape, self.names, "checking references", show=progress), strict=True))
        if problems := [problem for problem in found.values() if isinstance(problem, Problem)]:
            count = "1 reference is" if len(problems) == 1 else f"{len(problems)} references are"
            raise CompetitionError(f"{self.path}: {count} no image that can be compared with", problems)
        return {name: shape for name, shape in found.items() if not isinstance(shape, Problem)}

    @cached_property
    def sha256(self) -> str:
        """The hash of the content: sha256 over the sorted "name\\0sha256(file)\\n", whether folder or zip."""
        return content_sha256(self.hashes)

    @cached_property
    def hashes(self) -> dict[str, str]:
        return {name: hashlib.sha256(self.read_bytes(name)).hexdigest() for name in self.names}
