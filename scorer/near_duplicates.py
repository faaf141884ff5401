"""Which pictures look alike, among many: all pairs of hashes within a Hamming distance, without comparing all pairs.

Norouzi, Punjani & Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012, section 3: two codes that
differ in fewer bits than there are pieces have an equal piece. So only pairs with an equal 24-bit piece are compared.
Longer pieces would be too few for the radius, shorter ones are shared by too many: looks are far from random bits.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from submission.image_hashes import LOOK_BYTES, RADIUS

PIECE_BYTES = 3
PIECES = LOOK_BYTES // PIECE_BYTES
assert RADIUS < PIECES
# Where so many pictures share a piece, nearly all are alike (a collapsed model), and the first ones are enough.
BUCKET = 256
_PAIRS = 2**20  # compared at once

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
    queries, known = np.ascontiguousarray(queries), np.ascontiguousarray(known[rows])
    asked, there = queries.view(np.uint64), known.view(np.uint64)
    has_look = queries[:, 0].any(axis=1)
    for piece in range(PIECES if len(rows) else 0):
        values = _piece(known, piece)
        order = np.argsort(values, kind="stable")
        values, first, count = np.unique(values[order], return_index=True, return_counts=True)
        count = np.minimum(count, BUCKET)
        for variant in range(queries.shape[1]):
            open_ = np.flatnonzero((found < 0) & has_look)
            wanted = _piece(queries[open_, variant], piece)
            place = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
            shared = values[place] == wanted
            pictures, place = open_[shared], place[shared]
            for part in _parts(count[place]):
                counts = count[place[part]]
                query = np.repeat(pictures[part], counts)
                start = np.repeat(first[place[part]] - (np.cumsum(counts) - counts), counts)
                match = order[start + np.arange(len(query))]
                apart = np.bitwise_count(asked[query, variant] ^ there[match]).sum(axis=1)
                alike = apart <= RADIUS
                if allowed is not None:
                    alike &= allowed(query, rows[match])
                found[query[alike]] = rows[match[alike]]
    return found


def _piece(looks: np.ndarray, piece: int) -> np.ndarray:
    """One piece of each look (N, 24) as a number, (N,) uint32."""
    a, b, c = looks[:, PIECE_BYTES * piece : PIECE_BYTES * (piece + 1)].T.astype(np.uint32)
    number: np.ndarray = a << 16 | b << 8 | c
    return number


def _parts(counts: np.ndarray) -> list[slice]:
    """Slices of the pictures, each with about _PAIRS pairs to compare; none when there are no pairs."""
    ends = np.cumsum(counts)
    if not len(ends) or ends[-1] == 0:
        return []
    cuts = [0, *np.searchsorted(ends, np.arange(_PAIRS, ends[-1], _PAIRS), "right").tolist(), len(ends)]
    return [slice(a, b) for a, b in pairwise(cuts) if b > a]
