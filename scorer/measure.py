"""The one pass: every image decoded once, one batch on the device feeding both networks, PSNR and SSIM."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from scorer.backbones import Inception
from scorer.clip import Clip
from scorer.decoding import Pair, batches
from scorer.fidelity import SMALLEST_SIDE, psnr, ssim
from submission import MissingPart
from submission.progress import track


class Rows:
    """Per-image results gathered batch by batch in any order, left on the device, and read back in prompt order."""

    def __init__(self) -> None:
        self._parts: dict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)

    def add(self, name: str, rows: Tensor, values: Tensor) -> None:
        """Add `values` (B, …), which belong to the images `rows` (B,)."""
        self._parts[name].append((rows, values))

    def tensors(self) -> dict[str, Tensor]:
        """Each result's values (N, …) in prompt order."""
        result = {}
        for name, parts in self._parts.items():
            rows, values = (torch.cat(column) for column in zip(*parts, strict=True))
            result[name] = values[rows.argsort().to(values.device)]
        return result


def measure_images(
    pairs: Iterable[Pair],
    inception: Inception,
    clip: Clip,
    device: torch.device,
    *,
    batch_size: int,
    with_reference_features: bool,
) -> dict[str, Tensor]:
    """Features and per-image fidelity of every pair, in prompt order.

    Returns `inception` (N, D) and `clip` (N, E); with references also `psnr`, `ssim` (N,) (`ssim` only where every
    image is large enough) and, if asked for, `reference_inception` and `reference_clip`. Nothing waits for the device
    before the last batch is queued.
    """
    rows = Rows()
    too_small = False
    for batch in batches(pairs, batch_size, device):
        rows.add("inception", batch.rows, inception.features(batch.images))
        rows.add("clip", batch.rows, clip.image_features(batch.images))
        if batch.references is None:
            continue
        if with_reference_features:
            rows.add("reference_inception", batch.rows, inception.features(batch.references))
            rows.add("reference_clip", batch.rows, clip.image_features(batch.references))
        rows.add("psnr", batch.rows, psnr(batch.images, batch.references))
        too_small = too_small or min(batch.images.shape[-2:]) < SMALLEST_SIDE
        if not too_small:
            rows.add("ssim", batch.rows, ssim(batch.images, batch.references))
    tensors = rows.tensors()
    if too_small:
        tensors.pop("ssim", None)
    for network, name, sha256 in (
        ("inception", inception.name, inception.sha256),
        ("clip", clip.name, clip.sha256),
    ):
        if network in tensors and not torch.isfinite(tensors[network]).all():
            raise MissingPart(
                f"the weights of {network} {name} (sha256 {sha256[:12]}…) give values that are not finite"
            )
    return tensors


def measure_texts(texts: Sequence[str], clip: Clip, batch_size: int, progress: bool) -> Tensor:
    """CLIP's embedding of each text, (N, E)."""
    places = range(0, len(texts), batch_size)
    parts = [
        clip.text_features(texts[i : i + batch_size]) for i in track(places, "reading prompts (batches)", show=progress)
    ]
    return torch.cat(parts)
