"""Folders of GLIDE's weights, OpenAI's .pt and our safetensors: what is missing, read safely, held against the models.

`convert` makes the ones from the others, once: they load faster, and nobody needs to trust a pickle again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from baselines.glide.config import FILE_NAME, GlideConfig, UNetConfig, read_config
from baselines.glide.noised_clip import NoisedClip, NoisedImageEncoder, NoisedTextEncoder
from baselines.glide.openai import CLIP_FILES, FILES, GPT2_FILES, OPENAI, download
from baselines.glide.tokenizer import ClipTokenizer, TextTokenizer, Vocabulary, clip_bpe, read_bpe
from baselines.glide.unet import UNet
from baselines.hardware import Hardware
from baselines.pretrained import WEIGHTS
from baselines.weight_files import read_state
from submission import MissingPart, atomic
from submission.errors import UsageError, shown
from submission.hashes import file_sha256
from submission.paths import readable
from submission.progress import Progress

TOLERATES = ("float32", "float16")  # the released models' own two
Model = TypeVar("Model", bound=nn.Module)
_NAMES_SHOWN = 4


@dataclass
class Folder:
    """A folder of weights. Without a `glide.json` it is taken for OpenAI's.

    Attributes:
        sha256: of every file that was loaded, for the manifest.
        notes: what a converted file was made from.
    """

    path: Path
    config: GlideConfig
    official: bool
    sha256: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, weights: str | None) -> Folder:
        """`weights`, or the shipped folder.

        Raises:
            MissingPart: there is no such folder.
            UsageError: its glide.json is wrong, or it is no folder.
        """
        path = Path(weights).expanduser() if weights else WEIGHTS / "glide"
        if path.is_file():
            raise UsageError(f"{path} is a file; GLIDE's weights are a folder, with base.pt and others in it")
        if not path.is_dir():
            raise MissingPart(
                "GLIDE's weights are not there",
                looked_for=readable(path),
                get_it="put OpenAI's files into a folder and name it with --weights\n"
                f"              {download(FILES)}\n              {GPT2_FILES}",
            )
        described = path / FILE_NAME
        if described.exists():
            config = read_config(described)
            return cls(path, config, official=False, sha256={FILE_NAME: file_sha256(described)})
        return cls(path, OPENAI, official=True)

    def unet_config(self, name: str) -> UNetConfig:
        """Of one of the UNets. Raises MissingPart when the weights have no such model."""
        if name not in self.config.models:
            raise MissingPart(f"these weights of GLIDE have no {name} model", looked_for=self.path / FILE_NAME)
        return self.config.models[name]

    def unet(self, name: str) -> UNet:
        """One of the configuration's UNets, on the CPU. Raises MissingPart, UsageError."""
        with torch.device("meta"):
            model = UNet(self.unet_config(name))
        return self._load(model, name)

    def noised_clip(self) -> NoisedClip:
        """Both towers, float32, on the CPU. Raises MissingPart, UsageError."""
        if self.config.clip is None:
            raise MissingPart("these weights of GLIDE have no noised CLIP", looked_for=self.path / FILE_NAME)
        with torch.device("meta"):
            model = NoisedClip(self.config.clip)
        for tower, name in zip((model.image_encoder, model.text_encoder), CLIP_FILES, strict=True):
            self._load(tower, name)
        return model.float().eval()

    def text_tokenizer(self) -> TextTokenizer:
        """The UNets'. Raises MissingPart without vocab.json and merges.txt, UsageError when they do not fit."""
        vocabulary = self.config.text
        text = next(iter(self.config.models.values()))
        if vocabulary.bpe == "clip":
            return TextTokenizer(Vocabulary(clip_bpe(), vocabulary.rows), text.text_length, pad=0)
        files = [self.path / name for name in ("vocab.json", "merges.txt")]
        for file in files:
            if not file.exists():
                get_it = f"put {GPT2_FILES} beside the weights" if self.official else "it is shipped with its weights"
                raise MissingPart(f"GLIDE's tokenizer has no {file.name}", looked_for=readable(file), get_it=get_it)
        bpe = read_bpe(*files)
        if vocabulary.rows is None and bpe.vocab_size != text.vocab_size:
            raise UsageError(
                f"{files[0]} has {bpe.vocab_size:,} tokens; these weights were trained with {text.vocab_size:,}"
            )
        self.sha256 |= {file.name: file_sha256(file) for file in files}
        pad = bpe.vocab_size - 1 if vocabulary.rows is None else 0
        return TextTokenizer(Vocabulary(bpe.encode, vocabulary.rows), text.text_length, pad)

    def clip_tokenizer(self) -> ClipTokenizer:
        """The noised CLIP's."""
        assert self.config.clip is not None
        return ClipTokenizer(Vocabulary(clip_bpe(), self.config.clip_text.rows), self.config.clip.text_length)

    def files(self, name: str) -> list[Path]:
        """Those of a part that are there: its safetensors, its .pt."""
        candidates = (self.path / f"{name}.safetensors", self.path / f"{name}.pt")
        return [path for path in candidates if path.exists()]

    def require(self, *names: str) -> None:
        """Raises MissingPart that says which of the parts are not there and how to get them."""
        missing = [name for name in names if not self.files(name)]
        if not missing:
            return
        suffix = ".pt" if self.official else ".safetensors"
        raise MissingPart(
            f"GLIDE's weights are not complete: no {', '.join(name + suffix for name in missing)}",
            looked_for=f"{readable(self.path)}/" + (" (.safetensors too)" if self.official else ""),
            get_it=download(missing) if self.official else "train it, or name a folder that has it with --weights",
        )

    def _load(self, model: Model, name: str) -> Model:
        self.require(name)
        file = self.files(name)[0]
        model = load_into(model, read_state(file), file)
        self.sha256[file.name] = file_sha256(file)
        if file.suffix == ".safetensors":
            with safe_open(file, "pt") as opened:
                original = (opened.metadata() or {}).get("source_sha256")  # as `convert` noted it
            if original:
                self.notes.append(f"{file.name} was converted from {name}.pt, sha256 {original}")
        if self.official:  # for whoever compares them with what others got from the same place
            print(f"{file.name}: sha256 {self.sha256[file.name]}", file=sys.stderr)
        return model


def on_hardware(model: UNet, hardware: Hardware) -> UNet:
    """The model on its device, in float32 or in float16 as the released models were trained (`UNet.half_precision`)."""
    if hardware.precision not in TOLERATES:
        raise ValueError(f"GLIDE computes in {' or '.join(TOLERATES)}, not in {hardware.precision}")
    model = model.to(hardware.device).to(memory_format=hardware.memory_format)
    return model.half_precision() if hardware.precision == "float16" else model.float()


def load_into(model: Model, state: Mapping[str, Tensor], path: Path) -> Model:
    """`model` (built on the meta device) with `state`'s tensors as its own, in evaluation mode, frozen.

    Raises:
        UsageError: the layout, keys and shapes, is not the model's; it says what differs.
    """
    wanted = openai_layout(model)
    if not wanted.keys() & state.keys():  # our own names
        wanted = {key: value.shape for key, value in model.state_dict().items()}
    shapes = {key: (tuple(state[key].shape), tuple(wanted[key])) for key in wanted if key in state}
    differing = {
        "missing": [key for key in wanted if key not in state],
        "not known": [key for key in state if key not in wanted],
        "of another shape": [f"{key} {own}, not {other}" for key, (own, other) in shapes.items() if own != other],
    }
    if any(differing.values()):
        lines = [f"{path}: an unknown checkpoint layout; it does not fit the model that it is for"]
        for what, names in differing.items():
            if names:
                rest = f" … and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
                lines.append(f"  {len(names)} {what}: {shown(', '.join(names[:_NAMES_SHOWN]), 400)}{rest}")
        raise UsageError("\n".join(lines))
    model.load_state_dict(state, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def openai_layout(model: nn.Module) -> dict[str, torch.Size]:
    """OpenAI's key -> shape for a model with `openai_keys`."""
    own = model.state_dict()
    return {
        theirs: own[ours].shape for theirs, ours in cast("dict[str, str]", model.openai_keys).items() if ours in own
    }


def convert(folder: Path) -> list[Path]:
    """Write a safetensors beside every .pt of `folder` that has none. The tensors get our names and stay as they are.

    Returns:
        what was written.

    Raises:
        MissingPart: there is no .pt in the folder.
        UsageError: one is no checkpoint, or not of the model that its name says.
    """
    source = Folder.open(str(folder))
    if not source.official:
        raise UsageError(f"{folder} holds no weights of OpenAI's: there is nothing to convert")
    found = [name for name in FILES if (folder / f"{name}.pt").exists()]
    if not found:
        raise MissingPart("there is nothing to convert", looked_for=f"{folder}/*.pt", get_it=f"{', '.join(FILES)}.pt")
    todo = [name for name in found if not (folder / f"{name}.safetensors").exists()]
    with Progress("converting", len(todo)) as progress:
        for name in todo:
            path = folder / f"{name}.pt"
            model = load_into(empty_model(name), read_state(path), path)
            metadata = {"format": "pt", "source": path.name, "source_sha256": file_sha256(path)}
            tensors = {key: value.contiguous() for key, value in model.state_dict().items()}
            atomic.write_bytes(path.with_suffix(".safetensors"), save(tensors, metadata=metadata))
            progress.advance()
    return [folder / f"{name}.safetensors" for name in todo]


def empty_model(name: str) -> UNet | NoisedImageEncoder | NoisedTextEncoder:
    """The model of one of OpenAI's six files, on the meta device."""
    with torch.device("meta"):
        if name in OPENAI.models:
            return UNet(OPENAI.models[name])
        assert OPENAI.clip is not None
        return (NoisedImageEncoder if name == CLIP_FILES[0] else NoisedTextEncoder)(OPENAI.clip)
