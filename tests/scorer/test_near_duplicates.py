"""The search finds what comparing all pairs finds."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from scorer import near_duplicates
from scorer.near_duplicates import look_alikes
from submission import image_hashes
from submission.image_hashes import LOOK_BYTES, RADIUS


def flipped(code: np.ndarray, bits: int, rng: np.random.Generator) -> np.ndarray:
    mask = np.zeros(8 * LOOK_BYTES, np.uint8)
    mask[rng.choice(8 * LOOK_BYTES, bits, replace=False)] = 1
    return code ^ np.packbits(mask)


@pytest.mark.parametrize("pairs_at_once", [2**20, 7])
def test_as_comparing_all_pairs(monkeypatch: pytest.MonkeyPatch, pairs_at_once: int) -> None:
    monkeypatch.setattr(near_duplicates, "_PAIRS", pairs_at_once)
    rng = np.random.default_rng(0)
    known = rng.integers(0, 256, (500, LOOK_BYTES), np.uint8)
    known[:20] = 0  # without a look
    # Every distance from 0 to twice the radius, in one of three variants; and strangers.
    near = np.stack([flipped(known[20 + i], i % (2 * RADIUS), rng) for i in range(200)])
    queries = rng.integers(0, 256, (260, 3, LOOK_BYTES), np.uint8)
    queries[np.arange(200), np.arange(200) % 3] = near
    queries[250:] = 0
    bits = np.unpackbits(queries[:, :, None] ^ known[None, None], axis=-1).sum(axis=-1, dtype=int).min(axis=1)
    bits[:, :20] = 999
    bits[250:] = 999
    found = look_alikes(queries, known)
    assert np.array_equal(found >= 0, bits.min(axis=1) <= RADIUS)
    assert (found[:200] >= 0).sum() >= 100
    hit = found >= 0
    assert (bits[hit, found[hit]] <= RADIUS).all()


def test_pairs_that_may_not_count_do_not() -> None:
    rng = np.random.default_rng(1)
    known = rng.integers(0, 256, (50, LOOK_BYTES), np.uint8)
    queries = known[:, None].copy()
    queries[30] = known[[3]]
    earlier = look_alikes(queries, known, lambda query, match: match < query)
    assert np.flatnonzero(earlier >= 0).tolist() == [30]
    assert earlier[30] == 3


def test_nothing_to_compare_with() -> None:
    looks = np.ones((3, 2, LOOK_BYTES), np.uint8)
    assert look_alikes(looks, np.zeros((0, LOOK_BYTES), np.uint8)).tolist() == [-1] * 3
    assert look_alikes(looks[:0], looks[:, 0]).tolist() == []


def test_a_collapsed_model_takes_linear_time() -> None:
    """20,000 pictures that are all alike: 4 · 10^8 pairs if all were compared, 18 times."""
    rng = np.random.default_rng(2)
    one = rng.integers(0, 256, LOOK_BYTES, np.uint8)
    bits = rng.integers(0, 8 * LOOK_BYTES, 20_000)
    known = np.repeat(one[None], 20_000, axis=0)
    known[np.arange(20_000), bits // 8] ^= (1 << (bits % 8)).astype(np.uint8)
    found = look_alikes(np.repeat(known[:, None], 18, axis=1), known, lambda query, match: match < query)
    assert (found >= 0).sum() == 20_000 - 1


def test_looks_of_smooth_pictures_share_few_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """What 100,000 pictures cost: of smooth ones, each is compared with a few others, not with a bucketful."""
    rng = np.random.default_rng(3)
    pictures = [Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize((64, 64)) for _ in range(2000)]
    queries = image_hashes.split(np.stack([image_hashes.query(np.asarray(picture)) for picture in pictures]))[1]
    compared = []
    parts = near_duplicates._parts

    def counted(counts: np.ndarray) -> list[slice]:
        compared.append(int(counts.sum()))
        return parts(counts)

    monkeypatch.setattr(near_duplicates, "_parts", counted)
    found = look_alikes(queries, queries[:, 0], lambda query, match: match < query)
    assert (found < 0).all()
    assert sum(compared) / (len(queries) * queries.shape[1] * near_duplicates.PIECES) < 2.0
