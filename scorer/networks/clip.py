"""CLIP as an open_clip model with its own preprocessing, or the embedded one of the bestiary."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch
from jaxtyping import Float32, Int, UInt8
from torch import Tensor, nn
from torch.nn.functional import normalize

from scorer.device import autocast
from scorer.networks import Backbone, embedded, named, used
from scorer.networks.clip_speed import can_pack, encode_text, speed_up
from scorer.networks.resize import open_clip_resize, squash_resize
from scorer.networks.weight_files import find_weights, is_torchscript
from submission import CompetitionError, MissingPart
from submission.errors import UsageError
from submission.hashes import file_sha256

_PREPROCESS_KEYS = ("mean", "std", "interpolation", "resize_mode")
_RESIZES = {("shortest", "bicubic"), ("squash", "bicubic"), ("squash", "bilinear")}
Tokenizer = Callable[[list[str]], Int[Tensor, "n context"]]


class Clip:
    """A CLIP network in eval mode with the preprocessing that it was trained for.

    `model` is an open_clip model on `device`, which is changed in place; `size` is the input's side; `mean` and `std`
    are (1, 3, 1, 1) on [0, 1]; `squash` ignores the aspect ratio where CLIP itself crops the centre. Raises
    CompetitionError for a preprocessing that is not known here.
    """

    def __init__(
        self, name: str, sha256: str, model: Any, tokenizer: Tokenizer, device: torch.device, precision: str
    ) -> None:
        import open_clip

        config = open_clip.transform.PreprocessCfg(**open_clip.get_model_preprocess_cfg(model))
        size, mode, interpolation = config.size, config.resize_mode, config.interpolation
        size = size[0] if isinstance(size, tuple | list) and len(set(size)) == 1 else size
        if not isinstance(size, int) or (mode, interpolation) not in _RESIZES:
            how = f"images of {size} pixels by {mode} {interpolation} resizing"
            raise CompetitionError(f"backbones.clip = {name!r}: {how} are not supported")
        model = model.eval().requires_grad_(False)  # open_clip returns it in training mode
        speed_up(model, pack_weights=precision == "exact" and can_pack(device))
        self.name, self.sha256 = named(name, precision), sha256
        self.precision = precision
        self.model, self.tokenizer = model, tokenizer
        self.size = size
        self.squash = interpolation if mode == "squash" else None
        self.mean, self.std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (config.mean, config.std))

    def image_features(self, images: UInt8[Tensor, "b 3 h w"]) -> Float32[Tensor, "b d"]:
        """Image embeddings of length 1."""
        size = self.size
        resized = squash_resize(images, size, self.squash) if self.squash else open_clip_resize(images, size)
        pixels = ((resized.float() / 255.0) - self.mean) / self.std
        with autocast(images.device, self.precision):
            return normalize(self.model.encode_image(pixels).float(), dim=1)

    def text_features(self, texts: Sequence[str]) -> Float32[Tensor, "n d"]:
        """Text embeddings of length 1; fastest for texts of about one length."""
        tokens = self.tokenizer(list(texts)).to(self.mean.device)
        with autocast(tokens.device, self.precision):
            return normalize(encode_text(self.model, tokens).float(), dim=1)

    def truncated(self, texts: Sequence[str]) -> int:
        """How many of the texts are longer than the network reads; tokenizers cut them off without a word."""
        encode, context = getattr(self.tokenizer, "encode", None), getattr(self.tokenizer, "context_length", None)
        if encode is None or context is None:
            return 0
        return sum(len(encode(text)) + 2 > context for text in texts)  # + start and end tokens


def load_clip(name: str, tag_or_file: str | None, device: torch.device, weights: Path | None = None) -> Clip:
    """`find_clip` and its `load` in one."""
    return find_clip(name, tag_or_file, weights).load(device)


def find_clip(
    name: str, tag_or_file: str | None, weights: Path | None = None, precision: str = "exact"
) -> Backbone[Clip]:
    """The open_clip model `name`, or the embedded one when it is called "bestiary", found (or downloaded) and hashed.

    Args:
        name: an open_clip model, such as "ViT-B-32-quickgelu".
        tag_or_file: one of open_clip's pretrained tags for it, such as "openai", or a file of weights.
        weights: a file on disk in the tag's place, for machines without internet; the tag then still says how images
            are normalised and which activation the weights were trained with.
        precision: "exact", or "fast" to run in bfloat16, which the name then says.

    Raises:
        CompetitionError: an unknown name or tag, or weights trained with another activation.
        MissingPart: weights that are not there, or are of another network.
        UsageError: `weights` that the embedded network would ignore.
    """
    if name != "bestiary":
        sha256, read = _of_open_clip(name, tag_or_file, weights)
    elif weights is None:
        sha256, read = embedded.sha256("clip"), embedded.load_clip
    else:
        raise UsageError("--clip-weights: the competition's CLIP is the embedded one, which has its own")
    called = named(name, precision)
    return Backbone(called, sha256, lambda device: Clip(name, sha256, *read(device), device, precision))


def _of_open_clip(
    name: str, tag_or_file: str | None, weights: Path | None
) -> tuple[str, Callable[[torch.device], tuple[nn.Module, Any]]]:
    """An open_clip model's hash, and what reads it and its tokenizer."""
    import open_clip

    if name not in open_clip.list_models():
        raise CompetitionError(
            f"backbones.clip = {name!r}: not a model of open_clip (open_clip.list_models()) or 'bestiary'"
        )
    tag_config = open_clip.get_pretrained_cfg(name, tag_or_file) if tag_or_file else {}
    if tag_or_file and not tag_config and not Path(tag_or_file).suffix:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "none"
        raise CompetitionError(
            f"backbones.clip_weights = {tag_or_file!r}: neither a file nor one of open_clip's weights for {name} "
            f"({tags})"
        )
    # The wrong GELU loads without an error and shifts every cosine.
    quick = bool(open_clip.get_model_config(name).get("quick_gelu", False))
    if tag_config and bool(tag_config.get("quick_gelu", False)) != quick:
        other = name.removesuffix("-quickgelu") if quick else f"{name}-quickgelu"
        raise CompetitionError(
            f"backbones.clip = {name!r}: {tag_or_file!r} was trained with the other GELU; write clip = {other!r}"
        )
    path = _weights_path(name, tag_or_file, tag_config, weights, open_clip)
    preprocess = {key: tag_config[key] for key in _PREPROCESS_KEYS if tag_config.get(key) is not None}
    usual = open_clip.transform.PreprocessCfg()
    sha256 = used(file_sha256(path), **{key: how for key, how in preprocess.items() if how != getattr(usual, key)})

    def read(device: torch.device) -> tuple[nn.Module, Any]:
        try:
            model = open_clip.create_model(
                name,
                pretrained=str(path),
                require_pretrained=True,  # without it, a failure leaves random weights behind
                weights_only=True,
                device=device,
                force_preprocess_cfg=preprocess,
            )
        except Exception as error:  # open_clip raises whatever its loaders meet
            reason = " ".join(str(error).split())[:300]
            raise MissingPart(f"CLIP {name}: {path} does not fit the model: {reason}") from error
        return model, open_clip.get_tokenizer(name)

    return sha256, read


def _weights_path(
    name: str, tag_or_file: str | None, tag_config: dict[str, Any], weights: Path | None, open_clip: Any
) -> Path:
    what = f"CLIP {name} ({tag_or_file})"
    get_it = f"download {tag_config.get('url') or 'the weights that the competition names'}"
    if repository := tag_config.get("hf_hub", "").rstrip("/"):
        files = "open_clip_model.safetensors (or open_clip_pytorch_model.bin)"
        get_it = f"download {files} from https://huggingface.co/{repository}"
    if weights is None and tag_config:
        try:
            path = _downloaded(tag_config, open_clip)
        except Exception as error:  # hub, network and file system errors alike
            raise MissingPart(
                f"{what}: the weights are not on this machine and cannot be downloaded",
                looked_for=f"the Hugging Face cache, then the internet ({' '.join(str(error).split())[:120]})",
                get_it=f"{get_it}, and name the file with --clip-weights",
            ) from error
    elif weights is None and not tag_or_file:
        raise CompetitionError(f"backbones.clip = {name!r} needs backbones.clip_weights: a tag of open_clip, or a file")
    else:
        given = weights if weights is not None else Path(str(tag_or_file))
        path = find_weights(given, [], what=what, option="--clip-weights", get_it=get_it)
    if is_torchscript(path):
        raise MissingPart(
            f"{what}: {path} is a TorchScript archive (OpenAI's original ViT-B-32.pt is one), which holds code",
            get_it="use the same weights as open_clip_model.safetensors or open_clip_pytorch_model.bin; for OpenAI's "
            "ViT-B/32 from https://huggingface.co/timm/vit_base_patch32_clip_224.openai",
        )
    return path


def _downloaded(tag_config: dict[str, Any], open_clip: Any) -> Path:
    """The tag's weights, also from where an earlier download left them: the hub's client asks the internet first."""
    from huggingface_hub import constants, try_to_load_from_cache

    repository, _, file = tag_config.get("hf_hub", "").rpartition("/")
    if repository:
        for candidate in (file,) if file else ("open_clip_model.safetensors", "open_clip_pytorch_model.bin"):
            found = try_to_load_from_cache(repository, candidate)
            if isinstance(found, str):
                return Path(found)
        if not getproxies():
            # The hub's client would try a dozen times, for most of a minute, before it says that there is no internet.
            socket.create_connection((urlsplit(constants.ENDPOINT).hostname, 443), timeout=5).close()
    return Path(open_clip.download_pretrained(tag_config))
