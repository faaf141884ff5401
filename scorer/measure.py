"""The one pass: every image decoded once, one batch on the device feeding both networks, PSNR and SSIM."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

import torch
from torch import Tensor

from scorer.decoding import Pair, batches
from scorer.fidelity import SMALLEST_SIDE, psnr, ssim
from scorer.networks.clip import Clip
from scorer.networks.inception import Inception
from scorer.rows import Rows
from submission import MissingPart
from submission.progress import Progress

_CHUNK = 4096  # rows looked at together, where a table may be larger than the memory


def measure_images(
    pairs: Iterable[Pair],
    inception: Inception,
    clip: Clip,
    device: torch.device,
    *,
    batch_size: int,
    rows: Rows,
    of_references: Set[str] = frozenset(),
) -> dict[str, Tensor]:
    """Features and per-image fidelity of every pair, in prompt order.

    Returns `inception` (N, D), `clip` (N, E) and `hashes` (N, 438); with references also `reference_hashes` (N, 30),
    `psnr`, `ssim` (N,) (`ssim` only where every image is large enough) and those of `reference_inception` and
    `reference_clip` that are in `of_references`. Nothing waits for the device before the last batch is queued. Raises
    MissingPart for weights that give NaN.
    """
    for batch in batches(pairs, batch_size, device):
        rows.add("inception", batch.rows, inception.features(batch.images))
        rows.add("clip", batch.rows, clip.image_features(batch.images))
        rows.add("hashes", batch.rows, batch.hashes)
        if batch.references is None:
            continue
        rows.add("reference_hashes", batch.rows, batch.reference_hashes)
        if "reference_inception" in of_references:
            rows.add("reference_inception", batch.rows, inception.features(batch.references))
        if "reference_clip" in of_references:
            rows.add("reference_clip", batch.rows, clip.image_features(batch.references))
        rows.add("psnr", batch.rows, psnr(batch.images, batch.references))
        if min(batch.images.shape[-2:]) >= SMALLEST_SIDE:
            rows.add("ssim", batch.rows, ssim(batch.images, batch.references))
    tensors = rows.tensors()
    for network, name, sha256 in (
        ("inception", inception.name, inception.sha256),
        ("clip", clip.name, clip.sha256),
    ):
        if network in tensors and not all(torch.isfinite(part).all() for part in tensors[network].split(_CHUNK)):
            raise MissingPart(
                f"the weights of {network} {name} (sha256 {sha256[:12]}…) give values that are not finite"
            )
    return tensors


def measure_texts(
    texts: Sequence[str], clip: Clip, batch_size: int, progress: bool, share: range | None = None
) -> dict[str, Tensor]:
    """CLIP's embedding `text` (T, E) of each text, or of those of `share` only."""
    share = range(len(texts)) if share is None else share
    rows = Rows(len(share), share.start)
    # By length, because a batch costs as much as its longest text would alone.
    order = sorted(share, key=lambda place: len(texts[place]))
    with Progress("reading prompts", len(order), show=progress) as shown:
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            rows.add("text", torch.tensor(places), clip.text_features([texts[place] for place in places]))
            shown.advance(len(places))
    return rows.tensors()
