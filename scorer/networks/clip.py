"""CLIP as an open_clip model with its own preprocessing, or the embedded one of the bestiary."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch
from jaxtyping import Float32, Int, UInt8
from torch import Tensor, nn
from torch.nn.functional import normalize

from scorer.device import autocast
from scorer.networks import Backbone, named, used
from scorer.networks.clip_speed import can_pack, encode_text, speed_up
from scorer.networks.resize import open_clip_resize, squash_resize
from scorer.networks.weight_files import find_weights, is_torchscript
from submission import CompetitionError, MissingPart
from submission.errors import UsageError
from submission.hashes import file_sha256

EMBEDDED = "bestiary"
_PREPROCESS_KEYS = ("mean", "std", "interpolation", "resize_mode")
_RESIZES = {("shortest", "bicubic"), ("squash", "bicubic"), ("squash", "bilinear")}


@dataclass(frozen=True)
class Clip:
    """A CLIP network in eval mode with the preprocessing that it was trained for.

    `size` is the input's side; `mean` and `std` are (1, 3, 1, 1) on [0, 1]; `squash` ignores the aspect ratio where
    CLIP itself crops the centre.
    """

    name: str
    sha256: str
    model: Any  # an open_clip model: encode_image, encode_text
    tokenizer: Callable[[list[str]], Int[Tensor, "n context"]]
    size: int
    mean: Tensor
    std: Tensor
    squash: str | None = None
    precision: str = "exact"

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
    if name == EMBEDDED:
        if weights is not None:
            raise UsageError("--clip-weights: the competition's CLIP is the embedded one, which has its own")
        from scorer.networks import embedded

        sha256 = embedded.sha256("clip")
        return Backbone(
            named(name, precision),
            sha256,
            lambda device: _clip(name, sha256, *embedded.load_clip(device), device, precision),
        )

    import open_clip

    if name not in open_clip.list_models():
        raise CompetitionError(
            f"backbones.clip = {name!r}: not a model of open_clip (open_clip.list_models()) or 'bestiary'"
        )
    tag_config = open_clip.get_pretrained_cfg(name, tag_or_file) if tag_or_file else {}
    _check_tag(name, tag_or_file, tag_config, open_clip)
    path = _weights_path(name, tag_or_file, tag_config, weights, open_clip)
    preprocess = {key: tag_config[key] for key in _PREPROCESS_KEYS if tag_config.get(key) is not None}
    usual = open_clip.transform.PreprocessCfg()
    sha256 = used(file_sha256(path), **{key: how for key, how in preprocess.items() if how != getattr(usual, key)})

    def load(device: torch.device) -> Clip:
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
        return _clip(name, sha256, model, open_clip.get_tokenizer(name), device, precision)

    return Backbone(named(name, precision), sha256, load)


def _check_tag(name: str, tag_or_file: str | None, tag_config: dict[str, Any], open_clip: Any) -> None:
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


def _weights_path(
    name: str, tag_or_file: str | None, tag_config: dict[str, Any], weights: Path | None, open_clip: Any
) -> Path:
    what = f"CLIP {name} ({tag_or_file})"
    source = str(tag_config.get("hf_hub", "")).rstrip("/") or str(tag_config.get("url", ""))
    get_it = (
        f"download open_clip_model.safetensors (or open_clip_pytorch_model.bin) from https://huggingface.co/{source}"
        if tag_config.get("hf_hub")
        else f"download {source or 'the weights that the competition names'}"
    )
    if weights is None and tag_config:
        try:
            path = _in_hub_cache(tag_config) or _download(tag_config, open_clip)
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


def _in_hub_cache(tag_config: dict[str, Any]) -> Path | None:
    """The tag's weights where an earlier download left them; looked up here, because the hub's client asks first."""
    from huggingface_hub import try_to_load_from_cache

    if not tag_config.get("hf_hub"):
        return None
    repository, _, file = tag_config["hf_hub"].rpartition("/")
    for candidate in (file,) if file else ("open_clip_model.safetensors", "open_clip_pytorch_model.bin"):
        found = try_to_load_from_cache(repository, candidate)
        if isinstance(found, str):
            return Path(found)
    return None


def _download(tag_config: dict[str, Any], open_clip: Any) -> Path:
    from huggingface_hub import constants

    if tag_config.get("hf_hub") and not getproxies():
        # The hub's client would try a dozen times, for most of a minute, before it says that there is no internet.
        socket.create_connection((urlsplit(constants.ENDPOINT).hostname, 443), timeout=5).close()
    return Path(open_clip.download_pretrained(tag_config))


def _clip(name: str, sha256: str, model: nn.Module, tokenizer: Any, device: torch.device, precision: str) -> Clip:
    import open_clip

    config = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    config |= open_clip.get_model_preprocess_cfg(model)
    size = config["size"]
    size = size[0] if isinstance(size, tuple | list) and len(set(size)) == 1 else size
    mode, interpolation = config.get("resize_mode", "shortest"), config.get("interpolation", "bicubic")
    if not isinstance(size, int) or (mode, interpolation) not in _RESIZES:
        raise CompetitionError(
            f"backbones.clip = {name!r}: images of {size} pixels by {mode} {interpolation} resizing are not supported"
        )
    mean, std = (torch.tensor(config[key], device=device).view(1, 3, 1, 1) for key in ("mean", "std"))
    model = model.eval().requires_grad_(False)  # open_clip returns it in training mode
    speed_up(model, pack_weights=precision == "exact" and can_pack(device))
    squash = interpolation if mode == "squash" else None
    return Clip(named(name, precision), sha256, model, tokenizer, size, mean, std, squash, precision)
