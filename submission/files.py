"""The files directly in a foreign folder, listed and read without trusting anything about them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from submission.atomic import is_leftover
from submission.errors import Problem, some
from submission.manifest import MANIFEST_NAME
from submission.safe_read import NotReadable, read_regular

LOCK_NAME = ".lock"
# What systems and tools put among a person's files under a name that is not hidden.
_JUNK = {
    "thumbs.db",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "desktop.ini",
    "$recycle.bin",
    "system volume information",
    "__macosx",
    "icon\r",
    "network trash folder",
    "temporary items",
    "thevolumesettingsfolder",
    "@eadir",
    "@recycle",
    "@recently-snapshot",
    "@tmp",
    "#recycle",
    "#snapshot",
    "lost+found",
    "picasa.ini",
    "cachedir.tag",
    "__pycache__",
}
_JUNK_STARTS = ("~$", "~syncthing~", "thumbs.db:")
_JUNK_ENDS = ("~", "zone.identifier")  # an editor's backup; what Windows remembers of a download


def is_junk(name: str) -> bool:
    """Whether a system, a tool or a killed writer, not a person, put the file or folder `name` there. It is ignored.

    All hidden names are of this kind (`.DS_Store`, `.nfs…`, `.ipynb_checkpoints`): no prompt's image can have one.
    """
    lower = name.lower()
    hidden = name.startswith(".") and name not in (".", "..")
    return hidden or lower in _JUNK or lower.startswith(_JUNK_STARTS) or lower.endswith(_JUNK_ENDS)


def ignored_note(names: Iterable[str]) -> list[str]:
    """The note that says which system files were ignored; none when there are none."""
    ignored = sorted({name for name in names if not is_leftover(name) and name != LOCK_NAME})
    return [f"ignored what the system or a tool left: {some(ignored, 3)}"] if ignored else []


class FolderFiles:
    """A folder's files: `names` the readable ones, `problems` what else was found, of which `folders` are the folders,
    `notes` what was ignored.

    Symbolic links are problems, unless the folder is the host's own and they are to be followed (`follow`). Raises
    NotReadable for a folder of more than `max_entries`.
    """

    def __init__(self, path: Path, max_entries: int | None = None, *, follow: bool = False) -> None:
        self.path = path
        self._follow = follow
        self.names: list[str] = []
        self.problems: list[Problem] = []
        self.folders: list[str] = []
        ignored: list[str] = []
        with os.scandir(path) as entries:
            listed = list(islice(entries, None if max_entries is None else max_entries + 1))
            if max_entries is not None and len(listed) > max_entries:
                raise NotReadable(f"holds more than {max_entries:,} files")
            for entry in sorted(listed, key=lambda entry: entry.name):
                if is_junk(entry.name):
                    ignored.append(entry.name)
                elif entry.is_symlink() and not follow:
                    self.problems.append(Problem(entry.name, "is a symbolic link", "put the file itself there"))
                elif entry.is_dir(follow_symlinks=follow):
                    self.folders.append(entry.name)
                elif follow and not os.path.exists(entry.path):
                    hint = "bring the file itself here: git annex get, dvc pull, or download it again"
                    self.problems.append(Problem(entry.name, "is a symbolic link to a file that is not here", hint))
                elif not entry.is_file(follow_symlinks=follow):
                    self.problems.append(Problem(entry.name, "is not a regular file", "remove it"))
                else:
                    self.names.append(entry.name)
        self.notes = ignored_note(ignored)
        hint = "put all images directly into the submission's folder"
        # The usual mistake: the folder around the images.
        if len(self.folders) == 1 and set(self.names) <= {MANIFEST_NAME}:
            hint = f"the images may be in it: give {path / self.folders[0]} instead"
        self.problems += [Problem(name, "is a folder", hint) for name in self.folders]

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of the file `name`, at most `limit`. Raises NotReadable."""
        return read_regular(self.path / name, limit, follow=self._follow)

    def size(self, name: str) -> int:
        """How many bytes the file `name` has. Raises OSError."""
        return (self.path / name).stat(follow_symlinks=self._follow).st_size
