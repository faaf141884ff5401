"""What a monster's UNet is trained on and never changes: an autoencoder and a text encoder, ours or official."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTextModel, CLIPTokenizer

from baselines.pretrained import Pretrained, find
from baselines.weight_files import load_tokenizer, tokenizer_files
from submission.errors import UsageError
from submission.hashes import file_sha256, json_sha256

# Of the hub's repositories, which hold other networks and other frameworks' copies as well.
_WANTED = {
    "vae": ("vae/config.json", "vae/diffusion_pytorch_model.safetensors"),
    "text_encoder": (
        "config.json",
        "*token*.json",
        "vocab.json",
        "merges.txt",
        "model.safetensors",
        "pytorch_model.bin",
    ),
}


@dataclass(frozen=True)
class Frozen:
    """The networks on a device, float32, in evaluation mode and without gradients.

    `keys` are hashes of the autoencoder and of the text encoder with its tokenizer, configurations included.
    """

    autoencoder: AutoencoderKL
    tokenizer: CLIPTokenizer
    text_encoder: CLIPTextModel
    keys: tuple[str, str]

    @property
    def text(self) -> tuple[CLIPTokenizer, CLIPTextModel]:
        return self.tokenizer, self.text_encoder

    def check_size(self, image_size: int) -> None:
        """Raises UsageError where the autoencoder cannot halve pictures of `image_size` as often as it does."""
        factor = 2 ** (len(self.autoencoder.config.block_out_channels) - 1)
        if image_size % factor:
            raise UsageError(f"pictures of {image_size} pixels: the autoencoder needs a multiple of {factor}")

    def save(self, out: Path) -> None:
        """`vae`, `text_encoder` and `tokenizer` in diffusers' layout, in half precision."""
        copy.deepcopy(self.autoencoder).half().save_pretrained(out / "vae")
        copy.deepcopy(self.text_encoder).half().save_pretrained(out / "text_encoder")
        self.tokenizer.save_pretrained(out / "tokenizer")


def load_frozen(autoencoder: str, text_encoder: str, device: torch.device) -> Frozen:
    """The two from folders or from hub ids in the local cache.

    Args:
        autoencoder: an AutoencoderKL's folder, or one with `vae/` in it.
        text_encoder: a CLIP's or CLIPTextModel's folder with its tokenizer, or one with `text_encoder/`, `tokenizer/`.

    Raises:
        MissingPart: one of them, or a file of theirs, is not there; says how to get it.
        UsageError: weights that are not those of the network in its config.json.
    """
    home, part = _part(autoencoder, "vae")
    vae = home.network(part, AutoencoderKL)
    texts, text_part = _part(text_encoder, "text_encoder")
    # Of OpenAI's repository, whose file is a .bin, the weights alone are read; it has the image's half as well.
    encoder = texts.network(text_part, CLIPTextModel, pickles=True, more=True)
    words = texts.part(text_part)
    if text_part == "text_encoder":
        words = words.with_name("tokenizer")
    tokenizer = load_tokenizer(words, encoder)
    # A configuration decides the states as much as the weights do: its activation, its scale, where a text ends.
    text_files = [*tokenizer_files(words), *texts.part(text_part).glob("config.json")]
    keys = _key(home, home.part(part).glob("config.json")), _key(texts, text_files)
    vae, encoder = (network.float().to(device).requires_grad_(False) for network in (vae, encoder))
    return Frozen(vae, tokenizer, encoder, keys)


def _key(folder: Pretrained, files: Iterable[Path]) -> str:
    """The hash of the folder's weights, as far as they were read, and of these files."""
    return json_sha256([folder.sha256, [file_sha256(file) for file in files]])


def _part(source: str, name: str) -> tuple[Pretrained, str]:
    """The folder that the part `name` of `source` lies in, and the part's own name there."""
    root = find(source, wanted=_WANTED[name]).resolve()
    if (root / name).is_dir():
        return Pretrained("monster", str(root), (name,)), name
    return Pretrained("monster", str(root.parent), (root.name,)), root.name
