"""The real images of a competition, same-named as the prompts' images, in a folder or a zip."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from submission.archive import open_files
from submission.errors import CompetitionError, Problem
from submission.images import ImageProblem, max_file_bytes, read_image
from submission.safe_read import NotReadable


class References:
    """One reference per prompt. `names` is in prompt order; other files in the folder or zip are left alone."""

    def __init__(self, path: Path, names: Sequence[str], size: int | None) -> None:
        self.path, self.names, self.size = path, tuple(names), size
        try:
            self._files = open_files(path)
        except NotReadable as error:
            raise CompetitionError(f"{path}: the references' file {error}") from None
        absent = set(self.names) - set(self._files.names)
        if absent:
            found = {problem.name: problem for problem in self._files.problems}
            problems = [found.get(name, Problem(name, "has no reference")) for name in self.names if name in absent]
            raise CompetitionError(f"{path}: a prompt without a same-named reference image", problems)

    def __len__(self) -> int:
        return len(self.names)

    def read_bytes(self, name: str) -> bytes:
        """The file of one reference. Raises CompetitionError."""
        try:
            return self._files.read(name, max_file_bytes(self.size))
        except NotReadable as error:
            raise CompetitionError(f"{self.path}: {name}: {error}") from None

    def read(self, name: str) -> np.ndarray:
        """One reference, uint8 (H, W, 3). Greyscale is repeated to three channels. Raises CompetitionError."""
        try:
            return read_image(self.read_bytes(name), self.size, grey=True)
        except ImageProblem as error:
            raise CompetitionError(f"{self.path}: {name}: {error}") from None

    @cached_property
    def sha256(self) -> str:
        """The hash of the content: sha256 over the sorted "name\\0sha256(file)\\n", whether folder or zip."""
        return content_sha256(self.hashes)

    @cached_property
    def hashes(self) -> dict[str, str]:
        """The sha256 of each file."""
        return {name: hashlib.sha256(self.read_bytes(name)).hexdigest() for name in self.names}


def content_sha256(hashes: dict[str, str]) -> str:
    """One hash for a set of files: sha256 over the lines "name\\0sha256(file)\\n", sorted by name."""
    lines = "".join(f"{name}\0{digest}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
