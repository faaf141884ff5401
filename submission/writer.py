"""Writing a submission folder image by image, so that a run that was killed goes on where it stopped."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from submission import atomic
from submission.competition import Competition
from submission.errors import UsageError, shown
from submission.files import LOCK_NAME, FolderFiles, is_junk
from submission.images import ImageProblem, image_bytes
from submission.locking import exclusive
from submission.manifest import MANIFEST_NAME, Manifest, max_manifest_bytes
from submission.safe_read import NotReadable
from submission.submission import read_checked

_DRAW_AGAIN = (
    "the same command with --overwrite draws it again (with make: ARGS=--overwrite); another --out keeps what is there"
)


class SubmissionWriter:
    """Writes the images of `competition` to the folder `out`, with `manifest` saying what draws them.

    Several processes (shards) may write to one folder at once. A folder that other settings drew is refused with
    UsageError; `overwrite=True` removes its images first, and draws again what the same settings drew. Files that no
    prompt names are never removed.
    """

    def __init__(
        self, out: str | os.PathLike[str], competition: Competition, manifest: Manifest, *, overwrite: bool = False
    ) -> None:
        self.out = Path(out)
        self.competition = competition
        self.manifest = manifest.model_copy(update={"images": {}})
        self.names = tuple(prompt.image_name for prompt in competition.prompts)
        self._known = set(self.names)
        self._overwrite = overwrite
        self._good: dict[str, str] = {}  # image -> sha256 of the file that this process wrote or checked
        if self.out.exists() and not self.out.is_dir():
            raise UsageError(f"{self.out} is not a folder; choose another --out")
        self.out.mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._listed = self._claim()

    def _locked(self) -> AbstractContextManager[None]:
        """One shard at a time."""
        return exclusive(self.out / LOCK_NAME, f"the folder {self.out}", seconds=-1)

    def _claim(self) -> dict[str, str]:
        """Make the folder ours or refuse it. Returns the image hashes that a finished manifest lists."""
        entries = [entry.name for entry in os.scandir(self.out) if not is_junk(entry.name)]
        if foreign := sorted(set(entries) - self._known - {MANIFEST_NAME}):
            raise UsageError(f"{self.out} holds other files, such as {shown(foreign[0])}; choose another --out")
        atomic.remove_leftovers(self.out)
        if MANIFEST_NAME in entries:
            refusal = ""
            try:
                limit = max_manifest_bytes(len(self.names))
                found = Manifest.parse(FolderFiles(self.out).read(MANIFEST_NAME, limit))
            except (ValueError, NotReadable) as error:
                refusal = f"its {MANIFEST_NAME} cannot be read: {shown(str(error), 400)}"
            else:
                if differences := [shown(line, 400) for line in found.differences(self.manifest)]:
                    refusal = "\n  ".join(["it was drawn before something changed:", *differences])
                elif not self._overwrite:
                    return dict(found.images)
        else:
            refusal = "it holds images without a manifest" if entries else ""
        if refusal and not self._overwrite:
            raise UsageError(f"{self.out} is there already, and {refusal}\n{_DRAW_AGAIN}")
        if refusal:
            # The old manifest goes last: a kill in between leaves a folder that is refused again, never a mixture.
            for name in self._known.intersection(entries):
                (self.out / name).unlink()
        self._write_manifest({})
        return {}

    def _write_manifest(self, images: dict[str, str]) -> None:
        manifest = self.manifest.model_copy(update={"images": images})
        atomic.write_json(self.out / MANIFEST_NAME, manifest.model_dump(mode="json"))

    def _checked(self, files: FolderFiles, name: str) -> str | None:
        """The sha256 of the whole, valid image `name` on disk; None when it has to be drawn."""
        try:
            _, image, digest = read_checked(files, name, self.competition.image_size, self._listed.get(name))
        except ImageProblem:
            return None
        size = self.competition.size_of(name)
        return digest if size in (None, (image.shape[1], image.shape[0])) else None

    def missing(self, names: Sequence[str] | None = None) -> list[str]:
        """Those of `names` (default: all) that are still to be drawn: not there, or damaged, in the given order."""
        files = FolderFiles(self.out)
        present = set(files.names)
        asked = self.names if names is None else names
        for name in () if self._overwrite else asked:
            if name in present and name not in self._good and (digest := self._checked(files, name)):
                self._good[name] = digest
        return [name for name in asked if name not in self._good]

    def write(self, name: str, image: np.ndarray) -> None:
        """Write one image, uint8 (H, W, 3), atomically. The same pixels give the same bytes. Raises ValueError."""
        if name not in self._known:
            raise ValueError(f"no prompt names the image {name!r}")
        size = self.competition.size_of(name)
        if size and image.shape != (size[1], size[0], 3):
            raise ValueError(f"{name}: the image is {image.shape}, the competition asks for {(size[1], size[0], 3)}")
        data = image_bytes(image, name)
        atomic.write_bytes(self.out / name, data, lasting=False)  # the manifest, which is last, is
        self._good[name] = hashlib.sha256(data).hexdigest()

    def finish(self) -> bool:
        """Write the manifest with every image's hash when all images are there. False: others still have to draw."""
        with self._locked():
            files = FolderFiles(self.out)
            if not self._known.issubset(files.names):
                return False
            images = {}
            for name in self.names:
                digest = self._good.get(name) or self._checked(files, name)
                if digest is None:
                    return False
                images[name] = digest
            self._write_manifest(images)
            return True
