"""Near copies of a submission have nearly its look, other models' drawings of the same prompts have not."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from submission import Competition
from submission.image_hashes import PIXEL_BYTES, code
from submission.similarity_digest import NEAR, look_of, similarities

N = 48
# The looks of the bestiary's first 48 prompts as these models drew them.
DRAWN = {
    "monster, seed 0": "aEiaFLYJ7AQVua81CGCYBjJJC3qgkjJJj5UQZzOfCCSKzqsqkEqctNeGXRGR5bsDVp05sFNgx80AWRIj"
    "ggoVFS9ygTCc0wBYHw0cg9Gj013VaaliBHcx3+Dw/omeDX2xx",
    "monster, seed 1": "aGiadLYNXgQF244WiWDaDrqZiXokknhJDtdgazkfDISi7KOoEWrMPF7WTRC157sCUtYwkENjx00gATIx"
    "1ooaAYvwoDeY20HJHwyUB9jhw1m1y7nmMGSg38CyvqkuDM+a4",
    "stable": "aEZeGIEw2BzxmEqcCDQUMAJaGZkwAAp6nwJxQr/EsFKy+4GL8EjhnJzO2WFUw5SU5BahyDeQxxICisCT"
    "TSGyyfVayW4PzQH3NjDbukiHEAT8AQCXOCCJ5pnijAmA41yeN",
    "vq": "aukKECcIY3hL1BsQGHJcoAhvkVOCw3Jo+2ABS4vuCRSC6cNQmGLgoNWennCFVRvpQdyQMRBXIzFNbwUi"
    "16q0STjDVKEVw4xKHwzBytcuVNWEWYHnNsvTa4mQUbmJnUk9y",
    "references": "aAiaJI4JjAwN6w00KKCeDjNKAU6wkzBMHZMyf7ndDIQKzreI1GPYtN+CHBCUxL8OcvU7kFJrxU0BUrAy"
    "wK+OM+1iJDSR23CbFkWchNnSw1kRGbkBLOyw/0TQ/5MuKO+V6",
}


def look(images: np.ndarray) -> str:
    return look_of(np.stack([code(image)[PIXEL_BYTES:] for image in images]))


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """48 sprites on white, (48, 64, 64, 3) uint8."""
    competition = Competition.load("bestiary")
    references = competition.references()
    return np.stack([references.read(prompt.image_name) for prompt in competition.prompts[:N]])


def noisy(images: np.ndarray, by: int) -> np.ndarray:
    noise = np.random.default_rng(0).integers(-by, by + 1, images.shape)
    return (images + noise).clip(0, 255).astype(np.uint8)


def saved(images: np.ndarray, quality: int) -> np.ndarray:
    files = [io.BytesIO() for _ in images]
    for image, file in zip(images, files, strict=True):
        Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.stack([np.asarray(Image.open(file)) for file in files])


def resized(images: np.ndarray, side: int) -> np.ndarray:
    small = [Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS) for image in images]
    return np.stack([np.asarray(image.resize((64, 64), Image.Resampling.LANCZOS)) for image in small])


EDITS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "noise of 2": lambda images: noisy(images, 2),
    "noise of 8": lambda images: noisy(images, 8),
    "JPEG 90": lambda images: saved(images, 90),
    "JPEG 75": lambda images: saved(images, 75),
    "brightness": lambda images: (images.astype(int) + 3).clip(0, 255).astype(np.uint8),
    "resized": lambda images: resized(images, 48),
    "mirrored": lambda images: images[:, :, ::-1],
    "a tenth exchanged": lambda images: np.concatenate([images[: N * 9 // 10], np.roll(images[N * 9 // 10 :], 1, 0)]),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_copy_is_known_again(pictures: np.ndarray, edit: str) -> None:
    (similarity,) = similarities(look(pictures), [look(EDITS[edit](pictures))])
    assert similarity >= (0.93 if edit not in ("a tenth exchanged", "mirrored") else NEAR)


def test_honest_models_are_not_copies_of_each_other() -> None:
    """Two seeds of one model, other models, and a good model and the references that it learned to draw."""
    for name, drawn in DRAWN.items():
        others = {other: value for other, value in DRAWN.items() if other != name}
        found = dict(zip(others, similarities(drawn, list(others.values())), strict=True))
        assert max(found.values()) < NEAR - 0.1, (name, found)


def test_the_references_have_the_look_that_is_written_here(pictures: np.ndarray) -> None:
    """A digest is compared with those of other years and machines: it must not change."""
    assert look(pictures) == DRAWN["references"]


def test_the_same_pictures_for_other_prompts_are_not_alike(pictures: np.ndarray) -> None:
    assert similarities(look(pictures), [look(np.roll(pictures, 1, axis=0))])[0] < 0.5


def test_pictures_without_structure_have_no_look(pictures: np.ndarray) -> None:
    assert look(np.full_like(pictures, 7)) == ""
    half = pictures.copy()
    half[::2] = 255
    assert 0.5 < similarities(look(half), [look(pictures)])[0] < NEAR


def test_what_cannot_be_compared_is_not_alike(pictures: np.ndarray) -> None:
    ours = look(pictures)
    strange = ["", "a", "b" + ours[1:], ours[:-1], "a" + "A" * 1000]
    assert similarities(ours, [*strange, ours]).tolist() == [0, 0, 0, 0, 0, 1]
    assert similarities("", [ours]).tolist() == [0]
    assert similarities("a!", ["a!", ours]).tolist() == [0, 0]


def test_many_pictures_are_looked_at_in_parts() -> None:
    """As much memory for a million images as for four thousand, and the same look."""
    looks = np.random.default_rng(0).integers(0, 256, (10_000, 24)).astype(np.uint8)
    whole = look_of(looks)
    assert len(whole) == 129
    assert similarities(whole, [look_of(np.concatenate([looks[:9_000], 255 - looks[9_000:]]))])[0] > 0.7
    assert abs(similarities(whole, [look_of(looks[::-1])])[0]) < 0.2
