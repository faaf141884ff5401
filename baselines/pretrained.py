"""Weights: a shipped folder, a user's, a model in the hub's cache, the parts that folders share, hashes, defaults.

Nothing is downloaded unasked. What a folder says is checked before it is believed, and of its weights all are loaded or
none.
"""

from __future__ import annotations

import os
import pickle
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from baselines import registry
from submission import MissingPart, atomic, commands, strict_json
from submission.errors import UsageError, shown
from submission.hashes import file_sha256
from submission.library_messages import quiet_libraries
from submission.paths import readable

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import CLIPTextModel, CLIPTokenizer

WEIGHTS = Path(__file__).resolve().parent / "weights"
SAMPLING_FILE = "sampling.json"
# Where the parts are that a folder shares with another: that folder, relative to its own, and the sha256 of each file
# that its own weights were made for.
PARTS_FILE = "parts.json"
# Only what diffusers reads: the hub's repositories hold pickles, other frameworks' weights and second copies in fp16.
_WANTED = ("*.json", "*.txt", "*/model.safetensors", "*/diffusion_pytorch_model.safetensors")
# What sampling.json may say of numbers; None: what is not fixed.
_COUNTS = ("steps", "distilled_steps", "batch_size", "fixed_batch")


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
        self._homes = homes(self.path, parts)
        for part in parts:
            if part not in self._homes:
                raise self._missing(part)

    def part(self, name: str) -> Path:
        """The folder of one of `parts`."""
        return self._homes[name] / name

    def file(self, name: str) -> Path:
        """A file of the folder's own. Raises MissingPart."""
        path = self.path / name
        if not path.is_file():
            raise self._missing(name)
        return path

    def hashed(self, name: str) -> Path:
        """As `file`, for one that decides the pixels."""
        path = self.file(name)
        self.sha256[name] = file_sha256(path)
        return path

    def network(self, part: str, kind: Any, *, pickles: bool = False, more: bool = False, **options: Any) -> Any:
        """The network of a part (`load_network`), on the CPU, in evaluation mode."""
        _, variant = self.weights_of(part, pickles=pickles)
        try:
            return load_network(kind, self.part(part), more=more, variant=variant, **options).eval()
        except OSError as error:
            raise self._broken(part, error) from error

    def load(self, part: str, kind: Any) -> Any:
        """What has no weights, a scheduler, of a part."""
        try:
            with _loading(self.part(part)):
                return kind.from_pretrained(self.part(part), local_files_only=True)
        except OSError as error:
            raise self._broken(part, error) from error

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

    def _broken(self, part: str, error: Exception) -> MissingPart:
        what = f"the weights of {self.model} are not complete: {part} does not load ({str(error).splitlines()[0]})"
        return MissingPart(what, looked_for=readable(self.part(part)), get_it=self._how_to_get)

    def _missing(self, name: str) -> MissingPart:
        what = f"the weights of {self.model} are not complete: no {name}"
        return MissingPart(what, looked_for=readable(self.path / name), get_it=self._how_to_get)


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises UsageError when that is not what it holds."""
    value, problems = strict_json.parse(path.read_bytes())
    if problems or not isinstance(value, dict):
        raise UsageError(f"{readable(path)} {problems[0] if problems else 'must be one object'}")
    return value


def chosen(defaults: Mapping[str, Any], **asked: Any) -> dict[str, Any]:
    """`defaults` with what was asked for, as far as it was. Raises TypeError for what they have no default for."""
    if unknown := asked.keys() - defaults.keys():
        raise TypeError(f"there is no {', '.join(sorted(unknown))} to ask for")
    return {**defaults, **{name: value for name, value in asked.items() if value is not None}}


def load_network(kind: Any, folder: Path, *, more: bool = False, **options: Any) -> Any:
    """`kind.from_pretrained(folder, **options)`, a network of diffusers or transformers, from this disk alone.

    Raises:
        UsageError: where from_pretrained would leave a weight as it was made at random, or one of the file out (which
            `more` allows); a config.json that makes no such network.
        OSError: a file that is not there, or damaged.
    """
    options |= {"local_files_only": True, "output_loading_info": True, "ignore_mismatched_sizes": True}  # to count them
    with quiet_libraries(), _loading(folder):
        network, report = kind.from_pretrained(folder, **options)
    # Older text encoders have a table of position ids, which is no weight.
    left = [key for key in report["unexpected_keys"] if not key.endswith("position_ids")]
    missing, others = len(report["missing_keys"]), len(report["mismatched_keys"])
    if missing or others or (left and not more):
        raise _other_weights(folder, "the network in its config.json", missing, len(left), others)
    return network


@contextmanager
def _loading(folder: Path) -> Iterator[None]:
    """What diffusers and transformers raise for files that are not as they must be, as OSError and UsageError."""
    try:
        yield
    except (OSError, ImportError, MemoryError):
        raise
    except SafetensorError as error:  # diffusers itself makes this one an OSError
        raise OSError(f"{readable(folder)}: the weights are damaged: {error}") from error
    except Exception as error:  # a file that is JSON, but no configuration, raises nearly anything
        raise UsageError(f"{readable(folder)} does not load ({type(error).__name__}: {shown(str(error))})") from error


def tokenizer_files(folder: Path) -> list[Path]:
    """All of a CLIP's tokenizer. Raises MissingPart without its words: transformers would make one that has none."""
    files = [file for name in ("tokenizer.json", "vocab.json", "merges.txt") if (file := folder / name).is_file()]
    if not files or (len(files) == 1 and files[0].name != "tokenizer.json"):
        raise MissingPart(
            "the text encoder's tokenizer is not complete",
            looked_for=f"{readable(folder / 'tokenizer.json')}, or vocab.json and merges.txt",
            get_it="bring it from where the text encoder came from",
        )
    return sorted({*files, *folder.glob("*token*.json")})


def load_tokenizer(folder: Path, encoder: CLIPTextModel) -> CLIPTokenizer:
    """The tokenizer in `folder`, which cuts a text at the encoder's length at the latest.

    Raises:
        MissingPart: as `tokenizer_files`.
        UsageError: a file of it is damaged, or it has more tokens than the encoder.
    """
    from transformers import CLIPTokenizer

    tokenizer_files(folder)
    with _loading(folder):
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.model_max_length = min(tokenizer.model_max_length, encoder.config.max_position_embeddings)
    if len(tokenizer) > encoder.config.vocab_size:
        raise UsageError(
            f"the tokenizer in {readable(folder)} has {len(tokenizer)} tokens, the text encoder"
            f" {encoder.config.vocab_size}"
        )
    return tokenizer


def read_state(path: Path) -> dict[str, Tensor]:
    """A state dict on the CPU, in the file's own precision. Raises UsageError when the file is none."""
    import torch
    from safetensors.torch import load_file

    refused = f"{path} is not a checkpoint"
    hint = "a download that broke off is the usual cause: get it again"
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # weights_only: tensors and plain containers, none of the code that a pickle may carry.
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise UsageError(f"{refused} ({shown(str(error))})\n  -> {hint}") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError):
        # weights_only refuses code; bytes that are no pickle fail in any way.
        kind = "it is damaged, or holds more than tensors" if zipfile.is_zipfile(path) else "it is no PyTorch archive"
        raise UsageError(f"{refused} ({kind})\n  -> {hint}") from None
    if not isinstance(state, Mapping) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise UsageError(f"{refused}: it holds a {type(state).__name__}, not tensors by name")
    return dict(state)


def load_weights(network: nn.Module, file: Path, part: str = "") -> None:
    """Gives `network`, in its own precision, the tensors of `file` (`read_state`) whose names begin with `part`.

    Raises:
        UsageError: it is no such file, or one of another network.
        OSError: it is not there.
    """
    tensors = {k.removeprefix(part): v for k, v in read_state(file).items() if k.startswith(part)}
    # Batch norm's counter of training steps says nothing once the training is over.
    own = {k: v for k, v in network.state_dict().items() if k in tensors or not k.endswith("num_batches_tracked")}
    both = own.keys() & tensors.keys()
    others = sum(own[name].shape != tensors[name].shape for name in both)
    if others or own.keys() != tensors.keys():
        raise _other_weights(file, "the network it is for", len(own) - len(both), len(tensors) - len(both), others)
    network.load_state_dict(tensors, strict=False)


def _other_weights(at: Path, network: str, missing: int, more: int, others: int) -> UsageError:
    return UsageError(
        f"the weights in {readable(at)} are not those of {network}: they lack {missing} and have {more} more than it, "
        f"{others} have another shape"
    )


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
    snapshots = sorted(repository.glob("snapshots/*"), key=lambda path: path.stat().st_mtime)
    return snapshots[-1] if snapshots else None


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
    table = read_object(described)
    if not isinstance(table.get("folder"), str) or not isinstance(table.get("sha256"), dict):
        raise UsageError(f"{readable(described)}: must have a folder, and the sha256 of each file by its name")
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
