"""A folder of weights may share parts with another one instead of holding copies: its `parts.json` says where they are.

It names the other folder, relative to its own, and the sha256 of each file that its own weights were made for.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from submission import MissingPart, atomic
from submission.errors import UsageError
from submission.hashes import file_sha256
from submission.paths import readable

PARTS_FILE = "parts.json"


def homes(folder: Path, parts: Sequence[str]) -> dict[str, Path]:
    """Each of `parts` that is there -> the folder whose subfolder it is: `folder`, else the one that it shares with.

    Raises:
        MissingPart: a shared part is not there.
        UsageError: a shared part is not the one that the folder's weights were made for.
    """
    found = {part: folder for part in parts if (folder / part).is_dir()}
    described = folder / PARTS_FILE
    if not described.is_file():
        return found
    table = json.loads(described.read_text(encoding="utf-8"))
    elsewhere = Path(os.path.normpath(folder / table["folder"]))
    for name, expected in table["sha256"].items():
        part = name.split("/")[0]
        if found.get(part) == folder or part not in parts:
            continue
        file = elsewhere / name
        if not file.is_file():
            raise MissingPart(
                f"the {part} that {readable(folder)} shares is not there",
                looked_for=readable(file),
                get_it=f"{readable(described)} says where it should be",
            )
        if file_sha256(file) != expected:
            raise UsageError(
                f"{readable(file)} is not the one that the weights in {readable(folder)} were made for;"
                " bring that one back, or train them again"
            )
        found[part] = elsewhere
    return found


def bring(parts: Sequence[str], home: Path, out: Path, *, share: bool) -> None:
    """Give `out` the subfolders `parts` of `home`: copies, or with `share` a `parts.json` that says where they are."""
    if not share:
        for part in parts:
            shutil.copytree(home / part, out / part, dirs_exist_ok=True)
        return
    where = Path(os.path.relpath(home.resolve(), out.resolve())).as_posix()
    files = [file for part in parts for file in sorted((home / part).iterdir()) if file.is_file()]
    sha256 = {file.relative_to(home).as_posix(): file_sha256(file) for file in files}
    atomic.write_json(out / PARTS_FILE, {"folder": where, "sha256": sha256})
