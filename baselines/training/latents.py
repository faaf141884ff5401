"""What frozen networks make of a training set, computed once: memory-mapped files, named by all that decides them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from jaxtyping import Float16, Float32, Int64, UInt8
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from baselines.diffusion.text import encode
from baselines.training.batches import RESIDENT_FRACTION
from baselines.training.pictures import Captioned
from submission import atomic
from submission.hashes import json_sha256
from submission.paths import cache_home
from submission.progress import track

VERSION = 1  # of what the files hold: raised when the same pictures and networks would give others
FOLDER = "encoded"  # in the cache
BATCH = 64
PIXELS = BATCH * 64 * 64  # of pictures that are encoded at a time: larger ones are fewer
Autocast = Callable[[], AbstractContextManager[object]]  # the context in which networks compute


@dataclass(frozen=True)
class Encoded:
    """A training set as a denoiser sees it, in float16; on a device, or memory-mapped.

    Attributes:
        latents: (n, 2, 2, c, h, w): of each picture as it is and mirrored, the posterior's mean and standard deviation,
            scaled by the autoencoder's factor.
        hidden, pooled: (m, l, d) and (m, d) of the distinct captions.
        empty: (1, l, d) and (1, d) of no caption, float32, where they were encoded.
        captions: (n) for each picture the numbers of its captions.
    """

    latents: Float16[Tensor, "n 2 2 c h w"]
    hidden: Float16[Tensor, "m l d"]
    pooled: Float16[Tensor, "m d"]
    empty: tuple[Float32[Tensor, "1 l d"], Float32[Tensor, "1 d"]]
    captions: Sequence[Sequence[int]]

    def to(self, device: torch.device) -> Encoded:
        """The tables on a device, which must have room for them."""
        return replace(self, **{name: getattr(self, name).to(device) for name in ("latents", "hidden", "pooled")})

    def near(self, device: torch.device) -> Encoded:
        """On a GPU where it fits into a part of its free memory; else where it is."""
        size = self.latents.nbytes + self.hidden.nbytes + self.pooled.nbytes
        fits = device.type == "cuda" and size < RESIDENT_FRACTION * torch.cuda.mem_get_info(device)[0]
        return self.to(device) if fits else self

    def pick(self, indices: Int64[Tensor, " b"], at: Float32[Tensor, " b"] | None) -> Int64[Tensor, " b"]:
        """A caption of each of these pictures, by its number: the one at a place in [0, 1) among them, or the first."""
        captions = [self.captions[index] for index in indices.tolist()]
        places = [0.0] * len(captions) if at is None else at.tolist()
        return torch.tensor([some[int(place * len(some))] for some, place in zip(captions, places, strict=True)])


@torch.no_grad()
def posterior(
    autoencoder: AutoencoderKL, images: Float32[Tensor, "b 3 h w"]
) -> tuple[Float32[Tensor, "b c i j"], Float32[Tensor, "b c i j"]]:
    """Mean and standard deviation of the latents of pictures in -1 … 1, scaled."""
    found = autoencoder.encode(images).latent_dist
    factor = autoencoder.config.scaling_factor
    return found.mean.float() * factor, found.std.float() * factor


@torch.no_grad()
def in_batches(
    make: Callable[[Tensor], Tensor], images: UInt8[Tensor, "n 3 h w"], autocast: Autocast, doing: str = "encoding"
) -> Tensor:
    """What a network makes of pictures, a batch at a time, on the CPU."""
    batches = track(images.split(BATCH), f"{doing} pictures (batches)")
    with autocast():
        made = [make(part).cpu().contiguous() for part in batches]
    return torch.cat(made)  # outside: autocast to bfloat16 takes no float16


def encode_all(
    pictures: Captioned,
    autoencoder: AutoencoderKL,
    text: tuple[CLIPTokenizer, CLIPTextModel],
    keys: tuple[str, str, str],
    home: Path | None = None,
) -> Encoded:
    """A training set through frozen networks, on their devices; what is kept in `home` (the cache) is not computed.

    `keys` are hashes of the contents of the pictures, the autoencoder and the text encoder.
    """
    tokenizer, text_encoder = text
    device = next(autoencoder.parameters()).device
    captions, count = pictures.distinct_captions, len(pictures.images)

    def latents() -> Iterator[np.ndarray]:
        side = pictures.images[torch.tensor([0])].shape[-1]
        batches = torch.arange(count).split(max(1, min(BATCH, PIXELS // side**2)))
        for batch in track(batches, "encoding pictures (batches)"):
            yield encode_batch(autoencoder, pictures.images[batch].to(device)).half().cpu().numpy()

    def states() -> Iterator[np.ndarray]:
        """Those of the tokens and after them the pooled one."""
        for start in track(range(0, len(captions), BATCH), "encoding captions (batches)"):
            hidden, pooled = encode(text_encoder, tokenizer, captions[start : start + BATCH])
            yield torch.cat([hidden, pooled[:, None]], dim=1).half().cpu().numpy()

    home = home or cache_home() / FOLDER
    text_states = memory_mapped(home, "text", [keys[2], *captions], len(captions), states)
    return Encoded(
        memory_mapped(home, "latents", keys[:2], count, latents),
        text_states[:, :-1],
        text_states[:, -1],
        encode(text_encoder, tokenizer, [""]),
        [pictures.caption_numbers[entry] for entry in pictures.entry.tolist()],
    )


def encode_batch(autoencoder: AutoencoderKL, images: UInt8[Tensor, "b 3 h w"]) -> Float32[Tensor, "b 2 2 c i j"]:
    """Of each picture as it is and mirrored, mean and standard deviation of its latents, scaled."""
    plain = images.float() / 127.5 - 1
    return torch.stack([torch.stack(posterior(autoencoder, x), dim=1) for x in (plain, plain.flip(3))], dim=1)


def memory_mapped(
    home: Path, name: str, decides: Sequence[object], count: int, rows: Callable[[], Iterator[np.ndarray]]
) -> Tensor:
    """The float16 table of `count` rows that `rows` gives in parts, kept in `home` under what `decides` it.

    A file is whole or not there; one that is no such table (another program's, or damaged) is made again.
    """
    key = json_sha256([VERSION, name, *decides])[:32]
    path = home / f"{name}-{key}.npy"
    table = _read(path, count)
    if table is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic.replacing(path) as file:
            written = 0
            for part in rows():
                if not written:
                    header = {"descr": "<f2", "fortran_order": False, "shape": (count, *part.shape[1:])}
                    np.lib.format.write_array_header_1_0(file, header)
                file.write(np.ascontiguousarray(part, "<f2").tobytes())
                written += len(part)
            assert written == count, f"{written} rows of {count}"
        table = _read(path, count)
    assert table is not None, path
    return torch.from_numpy(table)


def _read(path: Path, count: int) -> np.ndarray | None:
    try:
        table = np.load(path, mmap_mode="c", allow_pickle=False)  # "c": torch wants an array that may be written to
    except (OSError, ValueError, EOFError):
        return None
    return table if table.dtype == np.float16 and len(table) == count else None
