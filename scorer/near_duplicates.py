"""Which pictures look alike, among many: all pairs of hashes within a Hamming distance, without comparing all pairs.

Norouzi, Punjani & Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012, section 3: two codes that
differ in fewer bits than there are pieces have an equal piece. So only pairs with an equal 16-bit piece are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from submission.image_hashes import LOOK_BYTES, RADIUS

PIECES = LOOK_BYTES // 2
assert RADIUS < PIECES
# Where so many pictures share a piece, nearly all are alike (a collapsed model), and the first ones are enough.
BUCKET = 256
_PAIRS = 2**20  # compared at once
_ONES = np.array([value.bit_count() for value in range(2**16)], np.uint8)

Allowed = Callable[[np.ndarray, np.ndarray], np.ndarray]


def look_alikes(queries: np.ndarray, known: np.ndarray, allowed: Allowed | None = None) -> np.ndarray:
    """For each picture, the row of a known one that looks alike, −1 where there is none.

    Args:
        queries: (N, V, 24) uint8, the looks of each picture in its variants (`image_hashes.looks`).
        known: (K, 24) uint8, one look each; zeros match nothing.
        allowed: given rows of `queries` and of `known` (P,), which of these pairs may count (P,) bool; default all.

    Returns:
        (N,) int64.
    """
    found = np.full(len(queries), -1, np.int64)
    rows = np.flatnonzero(known.any(axis=1))
    asked = np.ascontiguousarray(queries).view(np.uint16)
    there = np.ascontiguousarray(known[rows]).view(np.uint16)
    has_look = queries[:, 0].any(axis=1)
    for piece in range(PIECES if len(rows) else 0):
        order = np.argsort(there[:, piece], kind="stable")
        values = there[order, piece]
        for variant in range(queries.shape[1]):
            open_ = np.flatnonzero((found < 0) & has_look)
            first = np.searchsorted(values, asked[open_, variant, piece], "left")
            count = np.searchsorted(values, asked[open_, variant, piece], "right") - first
            count = np.minimum(count, BUCKET)
            for part in _parts(count):
                pictures, counts = open_[part], count[part]
                query = np.repeat(pictures, counts)
                start = np.repeat(first[part] - (np.cumsum(counts) - counts), counts)
                match = order[start + np.arange(len(query))]
                alike = _ONES[asked[query, variant] ^ there[match]].sum(axis=1, dtype=np.int64) <= RADIUS
                if allowed is not None:
                    alike &= allowed(query, rows[match])
                found[query[alike]] = rows[match[alike]]
    return found


def _parts(counts: np.ndarray) -> list[slice]:
    """Slices of the pictures, each with about _PAIRS pairs to compare; none when there are no pairs."""
    ends = np.cumsum(counts)
    if not len(ends) or ends[-1] == 0:
        return []
    cuts = [0, *np.searchsorted(ends, np.arange(_PAIRS, ends[-1], _PAIRS), "right").tolist(), len(ends)]
    return [slice(a, b) for a, b in pairwise(cuts) if b > a]
