"""Weights: a shipped folder, a user's, a model in the hub's cache, the parts that folders share, hashes, defaults.

Nothing is downloaded unasked. What a folder says is checked before it is believed.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from baselines import registry
from baselines.weight_files import load_network, loading, read_object
from submission import MissingPart, atomic, commands
from submission.errors import UsageError
from submission.hashes import file_sha256
from submission.paths import readable

WEIGHTS = Path(__file__).resolve().parent / "weights"
SAMPLING_FILE = "sampling.json"
# Where the parts are that a folder shares with another: that folder, relative to its own, and the sha256 of each file
# that its own weights were made for.
PARTS_FILE = "parts.json"
# Only what diffusers reads: the hub's repositories hold pickles, other frameworks' weights and second copies in fp16.
_WANTED = ("*.json", "*.txt", "*/model.safetensors", "*/diffusion_pytorch_model.safetensors")
# What sampling.json may say of numbers; None: what is not fixed.
_COUNTS = ("steps", "distilled_steps", "candidates", "batch_size", "fixed_batch")


class Pretrained:
    """A folder of weights, opened for one model.

    Args:
        model: its name in the registry, for the shipped folder and for messages.
        weights: a folder, or `owner/name` on the hub; None: the shipped folder.
        parts: subfolders that it must have, its own or shared with another folder.

    Attributes:
        path: the folder.
        sha256: of each file of weights that was read, by its name in a whole folder, for the manifest.

    Raises:
        MissingPart: the folder or a part is not there.
        UsageError: a shared part is not the one that the folder's weights were made for.
    """

    def __init__(self, model: str, weights: str | None = None, parts: Sequence[str] = ()) -> None:
        self.model = model
        self.path = find(weights, self._how_to_get) if weights else WEIGHTS / model
        self.sha256: dict[str, str] = {}
        self._homes: dict[str, Path] = {}
        self.require(*parts)

    def require(self, *parts: str) -> None:
        """Opens these parts too. Raises as the class."""
        self._homes |= {part: self.path for part in parts if (self.path / part).is_dir()}
        if (self.path / PARTS_FILE).is_file():
            self._open_shared(parts)
        for part in parts:
            if part not in self._homes:
                raise self._incomplete(f"no {part}", self.path / part)

    def _open_shared(self, parts: Sequence[str]) -> None:
        described = self.path / PARTS_FILE
        table = read_object(described)
        if not isinstance(table.get("folder"), str) or not isinstance(table.get("sha256"), dict):
            raise UsageError(f"{readable(described)}: must have a folder, and the sha256 of each file by its name")
        home = Path(os.path.normpath(self.path / table["folder"]))
        for name, expected in table["sha256"].items():
            part = name.split("/")[0]
            if self._homes.get(part) == self.path or part not in parts:
                continue
            file = home / name
            if not file.is_file():
                raise MissingPart(
                    f"the {part} that {readable(self.path)} shares is not there",
                    looked_for=readable(file),
                    get_it=f"{readable(described)} says where it should be",
                )
            if file_sha256(file) != expected:
                raise UsageError(
                    f"{readable(file)} is not the one that the weights in {readable(self.path)} were made for;"
                    " bring that one back, or train them again"
                )
            self._homes[part] = home

    def part(self, name: str) -> Path:
        """The folder of one of `parts`."""
        return self._homes[name] / name

    def file(self, name: str) -> Path:
        """A file of the folder's own. Raises MissingPart."""
        path = self.path / name
        if not path.is_file():
            raise self._incomplete(f"no {name}", path)
        return path

    def hashed(self, name: str) -> Path:
        """As `file`, for one that decides the pixels."""
        path = self.file(name)
        self.sha256[name] = file_sha256(path)
        return path

    def network(self, part: str, kind: Any, *, pickles: bool = False, more: bool = False, **options: Any) -> Any:
        """The network of a part (`load_network`), on the CPU, in evaluation mode."""
        _, variant = self.weights_of(part, pickles=pickles)
        with self._loading(part):
            return load_network(kind, self.part(part), more=more, variant=variant, **options).eval()

    def load(self, part: str, kind: Any) -> Any:
        """What has no weights, a scheduler, of a part."""
        with self._loading(part), loading(self.part(part)):
            return kind.from_pretrained(self.part(part), local_files_only=True)

    def weights_of(self, part: str, *, pickles: bool = False) -> tuple[list[Path], str | None]:
        """A part's files of weights, hashed, and the variant that they are (`fp16`, where there is no other).

        Raises:
            MissingPart: there is no safetensors, nor, where `pickles` allows it, a .bin (whose weights alone are read).
        """
        folder = self.part(part)
        found = sorted(folder.glob("*.safetensors"))
        halves = [file for file in found if ".fp16" in file.name]
        plain = [file for file in found if file not in halves and file.name != "pytorch_model.safetensors"]
        pickled = sorted(folder.glob("*.bin"))
        files = plain or halves or (pickled if pickles else [])
        if not files:
            raise MissingPart(
                f"{part} has no safetensors" + ("; its .bin is a pickle, which is not opened" * bool(pickled)),
                looked_for=readable(folder),
                get_it="download the repository's .safetensors, or save the pipeline anew with save_pretrained",
            )
        self.sha256 |= {f"{part}/{file.name}": file_sha256(file) for file in files}
        return files, "fp16" if files == halves else None

    def sampling(self, defaults: Mapping[str, Any] | None = None, needs: Sequence[str] = ()) -> dict[str, Any]:
        """How the folder's `sampling.json` says that it is drawn with.

        Args:
            defaults: for what it does not say, and all that it may say; None: the file must be there.
            needs: what it must say.

        Raises:
            MissingPart: it must be there and is not.
            UsageError: it is no such object, or a count in it is none.
        """
        path = self.path / SAMPLING_FILE
        if defaults is not None and not path.is_file():
            return dict(defaults)
        own = read_object(self.file(SAMPLING_FILE))
        if defaults is not None and not own.keys() <= defaults.keys():
            raise UsageError(f"{readable(path)}: must be one object with some of {', '.join(defaults)}")
        if lacking := [name for name in needs if name not in own]:
            raise UsageError(f"{readable(path)} does not say {', '.join(lacking)}")
        for name in _COUNTS:
            value = own.get(name)
            if not (value is None or (type(value) is int and value >= 1)):
                raise UsageError(f"{readable(path)}: {name} is {value!r}; it must be a whole number of at least 1")
        return {**(defaults or {}), **own}

    @property
    def _how_to_get(self) -> str:
        trainer = registry.MODELS[self.model].trainer
        train = f"train them ({commands.make(f'train MODEL={self.model}', trainer)}), or " if trainer else ""
        return f"{train}name a folder or a hub id that has them with --weights"

    @contextmanager
    def _loading(self, part: str) -> Iterator[None]:
        """What a damaged part raises, as MissingPart."""
        try:
            yield
        except OSError as error:
            what = f"{part} does not load ({str(error).splitlines()[0]})"
            raise self._incomplete(what, self.part(part)) from error

    def _incomplete(self, what: str, where: Path) -> MissingPart:
        what = f"the weights of {self.model} are not complete: {what}"
        return MissingPart(what, looked_for=readable(where), get_it=self._how_to_get)


def chosen(defaults: Mapping[str, Any], **asked: Any) -> dict[str, Any]:
    """`defaults` with what was asked for, as far as it was. Raises TypeError for what they have no default for."""
    if unknown := asked.keys() - defaults.keys():
        raise TypeError(f"there is no {', '.join(sorted(unknown))} to ask for")
    return {**defaults, **{name: value for name, value in asked.items() if value is not None}}


def find(weights: str, get_it: str = "name a folder that exists", wanted: Sequence[str] = _WANTED) -> Path:
    """The folder `weights`, or the newest snapshot of the hub's model `owner/name` in the local cache.

    `wanted` are the files that are needed of a repository.

    Raises:
        MissingPart: it is neither here nor there; says how to download it, or else `get_it`.
    """
    folder = Path(weights).expanduser()
    if folder.exists():
        return folder
    if (snapshot := cached(weights)) is not None:
        return snapshot
    if not is_hub_id(weights):
        raise MissingPart("the weights are not there", looked_for=readable(folder), get_it=get_it)
    raise MissingPart(
        f"the weights {weights} are not on this machine",
        looked_for=f"the folder {weights}, and {_repository(weights)}",
        get_it=download(weights, wanted),
    )


def cached(weights: str) -> Path | None:
    """The snapshot of a hub model that the main branch names, or else the newest; None when none was downloaded."""
    if not is_hub_id(weights):
        return None
    repository = _repository(weights)
    main = repository / "refs" / "main"
    if main.is_file() and (snapshot := repository / "snapshots" / main.read_text().strip()).is_dir():
        return snapshot
    return max(repository.glob("snapshots/*"), key=lambda path: path.stat().st_mtime, default=None)


def is_hub_id(weights: str) -> bool:
    """Whether `weights` could be `owner/name`."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", weights, re.ASCII) is not None


def download(weights: str, wanted: Sequence[str] = _WANTED) -> str:
    """The command that brings a model from the hub into the cache."""
    files = " ".join(f"--include '{pattern}'" for pattern in wanted)
    return f"{commands.script('hf')} download {weights} {files} --exclude 'safety_checker/*'"


def _repository(weights: str) -> Path:
    from huggingface_hub.constants import HF_HUB_CACHE  # here, so that nobody else waits for its import

    return Path(HF_HUB_CACHE) / f"models--{weights.replace('/', '--')}"


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
