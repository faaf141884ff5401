"""Pictures drawn elsewhere become a valid submission: found, matched to prompts, made the right kind, each change said.

Nothing is guessed: what could be meant in two ways is refused, with every problem at once, and nothing is written.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from submission import atomic
from submission.archive import Files, open_files
from submission.competition import Competition
from submission.errors import Problem, SubmissionError, UsageError, some
from submission.import_names import match, match_by_table
from submission.import_picture import MAX_BYTES, import_picture
from submission.manifest import MANIFEST_NAME
from submission.progress import track
from submission.safe_read import NotReadable
from submission.submission import Submission

# What lies beside pictures and is none. A file without a suffix, or with an unknown one, may be a picture.
_NO_PICTURES = (
    ".txt", ".md", ".json", ".jsonl", ".csv", ".tsv", ".log", ".yaml", ".yml", ".toml", ".xml", ".html", ".htm", ".pdf",
    ".py", ".ipynb", ".sh", ".npy", ".npz", ".pt", ".pth", ".ckpt", ".safetensors", ".zip", ".tar", ".gz", ".db",
    ".ini", ".mp4", ".webm",
)  # fmt: skip


@dataclass(frozen=True)
class ImportSummary:
    """What was done: image -> file, each change with its images, the files that were left out, and what to note."""

    matched_by: str
    matches: dict[str, str]
    changes: dict[str, list[str]]
    left_out: list[str]
    notes: list[str]

    def lines(self) -> list[str]:
        """The summary, a line each."""
        renamed = [f"{file} is {image}" for image, file in self.matches.items() if file != image]
        lines = [f"matched by {self.matched_by}{f': {some(renamed, 3)}' if renamed else ''}"]
        if kept := len(self.matches) - len({image for images in self.changes.values() for image in images}):
            lines.append(f"{kept} kept as they are")
        lines += [f"{len(images)} × {change}: {some(images, 3)}" for change, images in self.changes.items()]
        if self.left_out:
            lines.append(f"left out: {some(self.left_out)}")
        return lines + self.notes


def import_submission(
    source: Path,
    competition: Competition,
    out: Path,
    *,
    mapping: Path | None = None,
    in_order: bool = False,
    fit: str | None = None,
    progress: bool = False,
) -> ImportSummary:
    """Make the folder `out`, which must not exist, a valid submission of the pictures in the folder or zip `source`.

    `mapping` is a CSV that says which picture is which prompt's; `in_order`: the pictures' names are in the prompts'
    order. Raises UsageError, SubmissionError with every problem, CompetitionError.
    """
    if os.path.lexists(out):
        raise UsageError(f"{out} is there already; choose another --out")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {out.parent}; make it, or choose another --out")
    files, notes = _open(source)
    pictures = [name for name in files.names if name != MANIFEST_NAME and not name.lower().endswith(_NO_PICTURES)]
    problems = [problem for problem in files.problems if problem.what != "is a folder"]
    if not pictures:
        raise SubmissionError(problems or [Problem("", "there are no pictures in it")], str(source))
    if mapping is not None:
        matched = match_by_table(mapping, pictures, competition.prompts)
    else:
        matched = match(pictures, competition.prompts, in_order=in_order)
    problems += matched.problems
    changes: dict[str, list[str]] = {}
    todo = track(list(matched.files.items()), "importing pictures", show=progress and bool(matched.files))
    with tempfile.TemporaryDirectory(".part", ".", out.absolute().parent, ignore_cleanup_errors=True) as beside:
        target = Path(beside) / "submission"
        target.mkdir()
        for image, file in todo:
            try:
                imported = import_picture(files.read(file, MAX_BYTES), image, competition.size_of(image), fit)
            except NotReadable as error:
                problems.append(error.problem(file))
                continue
            for change in imported.changes:
                changes.setdefault(change, []).append(image)
            if not problems:
                atomic.write_bytes(target / image, imported.data)
        if problems:
            raise SubmissionError(problems, str(source))
        Submission.open(target, competition)  # what is promised, once more and from the disk
        if os.path.lexists(out):
            raise UsageError(f"{out} is there by now; choose another --out")
        target.rename(out)
    left_out = {*files.names, *(f"{name}/" for name in files.folders)} - set(matched.files.values())
    matches = {prompt.image_name: matched.files[prompt.image_name] for prompt in competition.prompts}
    return ImportSummary(matched.how, matches, changes, sorted(left_out), notes)


def _open(source: Path) -> tuple[Files, list[str]]:
    """The files of the folder in which the pictures are, at any depth when there is one only; and what to note."""
    inner = source
    try:
        files = open_files(source)
        while len(files.folders) == 1 and all(name.lower().endswith(_NO_PICTURES) for name in files.names):
            inner = inner / files.folders[0]
            files = open_files(inner)
    except NotReadable as error:
        problem = Problem("", str(error), "name a folder of pictures, or a zip of them")
        raise SubmissionError([problem], str(source)) from None
    notes = [] if inner == source else [f"the pictures lie in {inner}"]
    return files, notes + files.notes
