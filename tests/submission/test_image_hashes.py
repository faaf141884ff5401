"""The look of a picture survives small changes and tells different pictures apart; every number is exact."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from submission import Competition
from submission.image_hashes import (
    CODE_BYTES,
    LOOK_BYTES,
    QUERY_BYTES,
    RADIUS,
    VARIANTS,
    code,
    pixel_hash,
    query,
    split,
)


@pytest.fixture(scope="module")
def monsters() -> np.ndarray:
    """64 references of the bestiary, spread over it."""
    references = Competition.load("bestiary").references()
    return np.stack([references.read(name) for name in references.names[::17]])


def distance(image: np.ndarray, known: np.ndarray) -> int:
    """Bits between the picture's nearest variant and the look in a code."""
    looks = split(query(image)[None])[1][0]
    return int(np.unpackbits(looks ^ known[-LOOK_BYTES:], axis=1).sum(axis=1).min())


def changed(by: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda image: (image.astype(int) + by).clip(0, 255).astype(np.uint8)


def noisy(image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(int(image.sum())).integers(-2, 3, image.shape)
    return (image.astype(int) + noise).clip(0, 255).astype(np.uint8)


def jpeg(image: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=90)
    return np.asarray(Image.open(file))


def resized(image: np.ndarray) -> np.ndarray:
    small = Image.fromarray(image).resize((48, 48), Image.Resampling.BICUBIC)
    return np.asarray(small.resize((64, 64), Image.Resampling.BICUBIC))


def moved(image: np.ndarray) -> np.ndarray:
    return np.pad(image, ((0, 1), (1, 0), (0, 0)), "edge")[1:, :-1]


EDITS = {
    "nothing": lambda image: image, "brighter by 3": changed(3), "darker by 3": changed(-3), "noise of 2": noisy,
    "JPEG 90": jpeg, "resized to 48 and back": resized, "one pixel up and right": moved,
    "mirrored": lambda image: image[:, ::-1], "mirrored and noisy": lambda image: noisy(image[:, ::-1]),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_a_light_edit_is_known_again(monsters: np.ndarray, edit: str) -> None:
    near = [distance(EDITS[edit](image), code(image)) <= RADIUS for image in monsters]
    assert np.mean(near) >= 0.97


def test_other_monsters_are_told_apart(monsters: np.ndarray) -> None:
    codes = [code(image) for image in monsters]
    distances = [distance(a, b) for i, a in enumerate(monsters) for j, b in enumerate(codes) if i != j]
    assert min(distances) > RADIUS
    assert np.median(distances) > 60


def test_pixels_to_the_bit() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    other = image.copy()
    other[3, 3, 1] ^= 1
    assert np.array_equal(pixel_hash(image), pixel_hash(np.asfortranarray(image)))
    assert not np.array_equal(pixel_hash(image), pixel_hash(other))
    assert not np.array_equal(pixel_hash(image), pixel_hash(image.reshape(12, 8, 3)))  # same bytes, another picture


def test_the_shapes_and_the_own_look_first(monsters: np.ndarray) -> None:
    asked, kept = query(monsters[0]), code(monsters[0])
    assert (asked.dtype, asked.shape, kept.shape) == (np.uint8, (QUERY_BYTES,), (CODE_BYTES,))
    pixels, looks = split(asked[None])
    assert looks.shape == (1, VARIANTS, LOOK_BYTES)
    assert np.array_equal(np.concatenate([pixels[0], looks[0, 0]]), kept)
    mirrored = split(query(np.ascontiguousarray(monsters[0][:, ::-1]))[None])[1]
    assert np.array_equal(mirrored[0, 0], looks[0, VARIANTS // 2])


def test_the_look_is_a_cosine_transform(monsters: np.ndarray) -> None:
    """Each channel's bits are the signs of scipy's DCT-II, but for coefficients that are nearly nothing."""
    from scipy.fft import dctn

    red, green, blue = np.moveaxis(monsters[3].astype(float), 2, 0)
    channels = red + 2 * green + blue - 510, red - blue, 2 * green - red - blue
    expected = [dctn(channel)[u, v] for channel, n in zip(channels, (16, 7, 7), strict=True)
                for u in range(n) for v in range(n - u)]  # fmt: skip
    order = [i * 37 % 192 for i in range(192)]
    expected = np.array(expected)[order]
    bits = np.unpackbits(code(monsters[3])[-LOOK_BYTES:])
    clear = np.abs(expected) > 1e-3 * np.abs(expected).max()
    assert clear.sum() > 150
    assert np.array_equal(bits[clear], expected[clear] > 0)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_flat_picture_has_no_look(value: int) -> None:
    flat = np.full((64, 64, 3), value, np.uint8)
    noise = np.random.default_rng(value).integers(-2, 3, flat.shape)
    for image in (flat, (flat.astype(int) + noise).clip(0, 255).astype(np.uint8)):
        assert not split(query(image)[None])[1].any()


def test_large_and_long_images_too(monsters: np.ndarray) -> None:
    large = np.kron(monsters[0], np.ones((4, 4, 1), np.uint8))
    assert distance(large, code(monsters[0])) <= RADIUS
    rng = np.random.default_rng(1)
    for shape in ((8, 8, 3), (9, 300, 3), (512, 70, 3)):
        assert code(rng.integers(0, 256, shape, np.uint8))[-LOOK_BYTES:].any()
