"""`--from submission.json`: draw again what a manifest says.

The manifest is foreign: it names no file of this machine that the user did not name, and a participant's file is run
only when it is the one whose hash the manifest has.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from baselines import options as option
from baselines import participant, pretrained
from baselines.draw import Request
from baselines.registry import Recipe, recipe
from submission import Competition, Manifest
from submission.archive import open_files
from submission.errors import Problem, SubmissionError, UsageError, shown
from submission.files import FolderFiles
from submission.hashes import file_sha256
from submission.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES
from submission.safe_read import NotReadable, read_regular
from submission.submission import read_manifest


def read(path: Path) -> Manifest:
    """The manifest at `path`: the file, or the submission (folder or zip) that it is in. Raises SubmissionError."""
    try:
        if path.is_file() and path.suffix == ".json":
            data = read_regular(path, MAX_MANIFEST_BYTES, follow=True)
        else:
            files = open_files(path)
            if MANIFEST_NAME not in files.names:
                raise NotReadable(f"has no {MANIFEST_NAME}")
            data = files.read(MANIFEST_NAME, MAX_MANIFEST_BYTES)
        return Manifest.parse(data)
    except NotReadable as error:
        raise SubmissionError([Problem("", str(error))], str(path)) from None
    except ValueError as error:
        raise SubmissionError([Problem(MANIFEST_NAME, line) for line in str(error).splitlines()], str(path)) from None


def request(
    manifest: Manifest,
    model: str | None = None,
    competition: str | None = None,
    weights: str | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> Request:
    """What draws the same again; it refuses to draw when what was loaded is not what the manifest says.

    Args:
        model: where a participant's file is, `path/to/file.py:Class`; None for a shipped model.
        competition: where it is when it is none of the shipped ones.
        weights: where they are when the manifest's name of them says nothing here.
        device, precision: `auto`: the manifest's.

    Raises:
        UsageError: something differs, or the manifest does not say where something is.
        CompetitionError, MissingPart, GeneratorError: as `baselines.registry.recipe`.
    """
    where = _competition(manifest, competition)
    asked = manifest.settings.get("requested")
    options = dict(asked) if isinstance(asked, dict) else {}
    batch_size = options.pop("batch_size", None)
    if batch_size is not None and not (isinstance(batch_size, int) and option.BATCH_SIZE.accepts(batch_size)):
        raise UsageError(f"the manifest's batch size is no number: {shown(repr(batch_size))}")
    if unknown := sorted(options.keys() - option.OPTIONS.keys()):
        raise UsageError(f"the manifest asks for options that are not known here: {shown(', '.join(unknown))}")
    options["weights"] = _weights(manifest, where, options.get("weights")) if weights is None else weights
    found = _recipe(manifest, where, model, options)
    given = {name: value for name, value in (("device", device), ("precision", precision)) if value != "auto"}
    return Request(
        found,
        where,
        seed=manifest.seed,
        batch_size=None if batch_size == found.batch_size else batch_size,
        device=given.get("device") or _setting(manifest, "device"),
        precision=given.get("precision") or (_setting(manifest, "precision") if found.tolerates else "auto"),
        check=partial(_compare, manifest, {"requested", *given}),
    )


def _compare(expected: Manifest, may_differ: set[str], manifest: Manifest) -> None:
    """Raises UsageError where `manifest` would not draw what `expected` says; versions only have to be told."""
    settings = {name: value for name, value in expected.settings.items() if name not in may_differ}
    settings |= {name: value for name, value in manifest.settings.items() if name in may_differ}
    same = {"versions": manifest.versions, "resizing": manifest.resizing, "settings": settings}
    if differences := expected.model_copy(update=same).differences(manifest):
        lines = "".join(f"\n  {shown(line, 400)}" for line in differences)
        raise UsageError(f"what is here would not draw what the manifest says:{lines}")


def _competition(manifest: Manifest, given: str | None) -> Competition:
    name = manifest.competition
    if given is None and name not in Competition.names():
        raise UsageError(f"it was drawn for {shown(name)}, which is not shipped: say where it is with --competition")
    competition = Competition.load(given or name)
    if competition.name != name:
        raise UsageError(f"it was drawn for the competition {shown(name)}, not for {competition.name}")
    if manifest.images and manifest.images.keys() != {prompt.image_name for prompt in competition.prompts}:
        raise UsageError(f"it was drawn for another list of prompts of {name}: its images have other names")
    return competition


def _recipe(manifest: Manifest, competition: Competition, given: str | None, options: Mapping[str, Any]) -> Recipe:
    if participant.names_a_file(manifest.model):
        if given is None:
            raise UsageError(f"{shown(manifest.model)} drew it: say where that file is, as PATH.py:Class before --from")
        file = participant.file_of(given)
        if manifest.weights.get(file.name) != file_sha256(file):
            raise UsageError(f"{shown(str(file))} is not the file that drew it: its contents differ")
    found = recipe(given or manifest.model, competition, **options)
    if found.model != manifest.model:
        raise UsageError(f"{shown(manifest.model)} drew it, not {shown(found.model)}")
    return found


def _weights(manifest: Manifest, competition: Competition, named: object) -> str | None:
    """A hub's name; a folder was known by its last name, which says nothing here but where the competition itself
    names that folder. They are compared by hash once they are loaded."""
    if named is None:
        return None
    own = competition.baselines.get(manifest.model, {}).get("weights")
    if isinstance(named, str) and isinstance(own, str) and named in (own, competition.path(own).resolve().name):
        return None
    if isinstance(named, str) and pretrained.is_hub_id(named) and not Path(named).exists():
        return named
    raise UsageError(f"it was drawn with the weights {shown(str(named))}: say where they are with --weights")


def _setting(manifest: Manifest, name: str) -> str:
    value = manifest.settings.get(name, "auto")
    if not isinstance(value, str):
        raise UsageError(f"the manifest's {name} is no text: {shown(repr(value))}")
    return value


def comparison(manifest: Manifest, out: Path, competition: Competition) -> tuple[bool, str]:
    """Whether what is drawn in `out` has the bytes that the manifest lists, if it lists any, and a sentence on it."""
    listed = manifest.images
    if not listed:
        return True, "the manifest lists no images to compare with: they were not all drawn when it was written"
    there = [name for name in listed if (out / name).is_file()]
    others = [name for name in there if file_sha256(out / name) != listed[name]]
    if others:
        drawn, _ = read_manifest(FolderFiles(out), competition.name, list(listed))
        changed = manifest.differences(drawn) if drawn else []
        why = f"\n  {shown('; '.join(changed), 400)}" if changed else ""
        return False, f"{len(others)} of {len(there)} images have other bytes, such as {shown(others[0])}{why}"
    if len(there) < len(listed):
        return True, f"not all images are drawn yet; these {len(there)} have the bytes that the manifest lists"
    return True, f"all {len(listed)} images have the bytes that the manifest lists"
