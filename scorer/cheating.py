"""What speaks against a submission: copied, repeated and empty images, found from what the one pass has at hand anyway.

| evidence       | what is equal                                                | compared with                    |
|----------------|--------------------------------------------------------------|----------------------------------|
| same file      | the SHA-256 of the file                                      | references                       |
| same pixels    | the first 48 bits of the SHA-256 of the decoded image        | references, training, each other |
| same look      | the DCT hash of one of 18 variants, to 6 of 192 bits         | references, training, each other |
| near features  | Inception's features, to 0.2 of how far references lie apart | references                       |

Thresholds were measured on the bestiary; submission/image_hashes.py and the competition's `[rules]` say how.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from scorer.near_duplicates import look_alikes
from scorer.setup import Setup
from submission import Submission
from submission.image_hashes import PIXEL_BYTES, split
from submission.scorecard import Finding, Score, Suspicions

# Of the median distance of a reference to the nearest other one. On the bestiary, noise of ±8, JPEG 90 and ±3 of
# brightness stay below it in 95 % of pictures; an ideal artist, who draws the same monster in another pose, in 1 %.
NEAR = 0.2
MANY_FEATURES = 8192  # from here on, each image is compared with its own reference only: the cost would be N²
FEW_FEATURES = 50  # among fewer references, how far they lie apart says nothing
EXAMPLES = 5


def suspicions(
    submission: Submission, setup: Setup, tables: Mapping[str, Tensor], scores: Mapping[str, Score]
) -> Suspicions:
    """What was found among the images, and which rules of the submission's competition that breaks.

    `tables` are those of `scorer.measure.Measured`.
    """
    competition, names = submission.competition, setup.names
    texts = [prompt.text for prompt in competition.prompts[: len(names)]]
    references = same_file = near = None
    if setup.references is not None:
        references = tables["reference_hashes"].cpu().numpy()
        files = setup.references.hashes
        same_file = _first_rows([submission.hashes[name] for name in names], [files[name] for name in names])
        near = nearest_references(tables["inception"], tables["reference_inception"]).cpu().numpy()
    hashes = tables["hashes"].cpu().numpy()
    findings = find(hashes, names, texts, references, setup.training_hashes, same_file, near)
    whole = len(names) == len(competition.prompts)
    return Suspicions(findings, competition.rules.check(findings, scores, whole=whole))


def find(
    queries: np.ndarray,
    names: Sequence[str],
    texts: Sequence[str],
    references: np.ndarray | None = None,
    training: np.ndarray | None = None,
    same_file: np.ndarray | None = None,
    near: np.ndarray | None = None,
) -> dict[str, Finding]:
    """What was found, by the names of `submission.scorecard.FINDINGS`; without a key what could not be looked for.

    Args:
        queries: (N, 438) uint8, `image_hashes.query` of each image.
        names: the images' names, which are the references' too.
        texts: their prompts; images of equal prompts may be equal.
        references: (N, 30) uint8, `image_hashes.code` of each reference, None where there are none.
        training: the codes (K, 30) uint8 of the training images, None where the competition names none.
        same_file: (N,) the row of a reference whose file each image is, −1 where there is none; None where not known.
        near: (N,) likewise, of the nearest reference (`nearest_references`).
    """
    pixels, looks = split(queries)
    findings = {}
    if references is not None:
        nothing = np.full(len(names), -1)
        evidence = {"same file": nothing if same_file is None else same_file}
        evidence |= _equal_or_alike(pixels, looks, references)
        evidence["near features"] = nothing if near is None else near
        findings["reference_copies"] = _finding(names, evidence, names)
    if training is not None:
        findings["training_copies"] = _finding(names, _equal_or_alike(pixels, looks, training))
    findings["repeats"] = _finding(names, _repeats(pixels, looks, texts), names)
    flat = ~looks[:, 0].any(axis=1)
    findings["flat"] = Finding(int(flat.sum()), {}, [names[row] for row in np.flatnonzero(flat)[:EXAMPLES]])
    return findings


def nearest_references(
    features: Float[Tensor, "n d"], reference_features: Float[Tensor, "n d"], near: float = NEAR
) -> Tensor:
    """The row of the nearest reference where its features are nearer than `near`, else −1; (N,) int64.

    Distances count in units of the median distance between a reference and the nearest other one that is not equal to
    it, so that the threshold fits any network and any kind of picture.
    """
    n = len(reference_features)
    nearest = torch.full((len(features),), -1, dtype=torch.int64, device=features.device)
    if n < FEW_FEATURES:
        return nearest
    some = reference_features[:: -(-n // MANY_FEATURES)]
    apart = _distances(some[:2048], some)
    apart[apart <= 0.01 * apart.median()] = torch.inf
    unit = apart.amin(dim=1).median()
    for part in torch.arange(len(features), device=features.device).split(1024):
        if n > MANY_FEATURES:
            distances, rows = (features[part] - reference_features[part]).norm(dim=1), part
        else:
            distances, rows = _distances(features[part], reference_features).min(dim=1)
        nearest[part] = torch.where(distances < near * unit, rows, nearest[part])
    return nearest


def _distances(a: Tensor, b: Tensor) -> Tensor:
    # Centred, so that the products lose no digits to the large mean that all features share.
    centre = b.mean(dim=0)
    return torch.cdist(a - centre, b - centre)


def _equal_or_alike(pixels: np.ndarray, looks: np.ndarray, known: np.ndarray) -> dict[str, np.ndarray]:
    """Rows of `known` codes (K, 30) that the images equal or look like, −1 where there is none."""
    same_pixels = _first_rows([entry.tobytes() for entry in pixels], [row.tobytes() for row in known[:, :PIXEL_BYTES]])
    return {"same pixels": same_pixels, "same look": look_alikes(looks, known[:, PIXEL_BYTES:])}


def _first_rows(asked: Sequence[str | bytes], known: Sequence[str | bytes]) -> np.ndarray:
    """For each that is asked, the first row of `known` that equals it, −1 where there is none; int64."""
    row_of = {entry: row for row, entry in reversed(list(enumerate(known)))}
    return np.array([row_of.get(entry, -1) for entry in asked], np.int64)


def _repeats(pixels: np.ndarray, looks: np.ndarray, texts: Sequence[str]) -> dict[str, np.ndarray]:
    """For each image an earlier one of another prompt that it repeats, −1 where there is none."""
    prompts = np.unique(np.array(texts, object), return_inverse=True)[1]
    same_pixels = np.full(len(texts), -1, np.int64)
    of_pixels: dict[bytes, dict[int, int]] = {}  # pixels -> prompt -> its first image, the earliest first
    for row, (entry, prompt) in enumerate(zip(pixels, prompts.tolist(), strict=True)):
        earlier = of_pixels.setdefault(entry.tobytes(), {})
        same_pixels[row] = next((first for other, first in earlier.items() if other != prompt), -1)
        if len(earlier) < 2:  # of two prompts, one is another than any
            earlier.setdefault(prompt, row)
    # Among equal images one is enough to compare the others with, and none of the repeats is asked about again.
    known = np.where((same_pixels < 0)[:, None], looks[:, 0], 0).astype(np.uint8)
    queries = np.where((same_pixels < 0)[:, None, None], looks, 0).astype(np.uint8)
    look = look_alikes(queries, known, lambda a, b: (b < a) & (prompts[a] != prompts[b]))
    return {"same pixels": same_pixels, "same look": look}


def _finding(names: Sequence[str], evidence: dict[str, np.ndarray], others: Sequence[str] | None = None) -> Finding:
    """Counts each image by its first evidence; names a few with the image that they equal."""
    counted = np.zeros(len(names), bool)
    counts, examples = {}, []
    for kind, rows in evidence.items():
        fresh = (rows >= 0) & ~counted
        counted |= fresh
        counts[kind] = int(fresh.sum())
        examples += [
            names[row] + (f" = {others[int(rows[row])]}" if others else "") for row in np.flatnonzero(fresh).tolist()
        ]
    return Finding(int(counted.sum()), counts, examples[:EXAMPLES])
