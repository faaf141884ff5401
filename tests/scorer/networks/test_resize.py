"""The resizes against the libraries whose numbers they must give: clean-fid, open_clip, torchvision with Pillow."""

from __future__ import annotations

import tracemalloc

import numpy as np
import PIL
import pytest
import torch
from cleanfid.resize import build_resizer
from open_clip.transform import image_transform
from PIL import Image
from torchvision.transforms import Resize

from scorer import device
from scorer.networks.resize import (
    clean_fid_resize,
    legacy_pytorch_resize,
    legacy_tensorflow_resize,
    open_clip_resize,
    squash_resize,
)

# Pillow 13 changed the order of its passes for some shapes; ours is that of 13.
pytestmark = pytest.mark.skipif(int(PIL.__version__.split(".")[0]) < 13, reason="Pillow before 13 rounds otherwise")

# Up, down, the identity, odd sizes, both orientations, an extreme shape.
SIZES = [
    (64, 64),
    (299, 299),
    (224, 224),
    (256, 256),
    (301, 225),
    (97, 130),
    (33, 480),
    (512, 384),
    (700, 250),
    (31, 31),
    (12, 190),
]


@pytest.fixture(params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def image(request: pytest.FixtureRequest) -> np.ndarray:
    """Half noise, which shows every wrong tap and overshoots past 0 and 255, half a smooth gradient."""
    height, width = request.param
    rng = np.random.default_rng(height * 1000 + width)
    pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    ramp = np.linspace(0, 255, width // 2)[None, :, None]
    pixels[:, : width // 2] = np.broadcast_to(ramp, (height, width // 2, 3)).astype(np.uint8)
    return pixels


def as_batch(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None]


def test_clean_fid_resize_against_clean_fid(image: np.ndarray) -> None:
    expected = build_resizer("clean")(image)
    ours = clean_fid_resize(as_batch(image), 299)
    assert ours.dtype == torch.float32
    assert ours.shape == (1, 3, 299, 299)
    assert np.abs(ours[0].permute(1, 2, 0).numpy() - expected).max() <= 0.001


@pytest.mark.filterwarnings("ignore")  # clean-fid changes Python's filter
def test_legacy_pytorch_resize_against_clean_fid(image: np.ndarray) -> None:
    expected = build_resizer("legacy_pytorch")(image)
    assert np.array_equal(legacy_pytorch_resize(as_batch(image), 299)[0].permute(1, 2, 0).numpy(), expected)


def test_legacy_tensorflow_resize_against_its_definition(image: np.ndarray) -> None:
    """tf.image.resize_bilinear of TensorFlow 1: output j reads between the pixels around j · in / out."""

    def matrix(side: int) -> np.ndarray:
        place = np.arange(299) * side / 299
        low = np.floor(place).astype(int)
        result = np.zeros((299, side))
        result[np.arange(299), low] += 1 - (place - low)
        result[np.arange(299), np.minimum(low + 1, side - 1)] += place - low
        return result

    expected = np.einsum(
        "ih,hwc,jw->ijc", matrix(image.shape[0]), image.astype(float), matrix(image.shape[1]), optimize=True
    )
    ours = legacy_tensorflow_resize(as_batch(image), 299)[0].permute(1, 2, 0).numpy()
    assert np.abs(ours - expected).max() <= 0.02  # of 255: float32 rounds the place by 1e-7 of the side
    assert build_resizer("legacy_tensorflow")(image) is image  # clean-fid leaves it to the network


@pytest.mark.parametrize("size", [64, 224, 235])
def test_open_clip_resize_against_open_clip(image: np.ndarray, size: int) -> None:
    transform = image_transform(size, is_train=False, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    expected = transform(Image.fromarray(image))
    assert torch.equal(open_clip_resize(as_batch(image), size)[0].float() / 255.0, expected)


def test_squash_resize_against_torchvision(image: np.ndarray) -> None:
    expected = np.asarray(Resize((299, 299))(Image.fromarray(image)))
    assert np.array_equal(squash_resize(as_batch(image), 299)[0].permute(1, 2, 0).numpy(), expected)


def test_squash_resize_bicubic_against_pillow(image: np.ndarray) -> None:
    expected = np.asarray(Image.fromarray(image).resize((224, 224), Image.Resampling.BICUBIC))
    assert np.array_equal(squash_resize(as_batch(image), 224, "bicubic")[0].permute(1, 2, 0).numpy(), expected)


def test_squash_order_of_passes_against_pillow() -> None:
    """Random shapes: Pillow picks the order of its two rounded passes by them."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        height, width = rng.integers(20, 400, 2)
        image, size = rng.integers(0, 256, (height, width, 3), dtype=np.uint8), int(rng.integers(20, 300))
        expected = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))
        assert np.array_equal(squash_resize(as_batch(image), size)[0].permute(1, 2, 0).numpy(), expected), image.shape


def test_an_image_does_not_depend_on_its_batch() -> None:
    images = torch.randint(0, 256, (5, 3, 40, 56), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for function in (lambda x: open_clip_resize(x, 64), lambda x: squash_resize(x, 299)):
        assert torch.equal(function(images), torch.cat([function(image[None]) for image in images]))


def test_some_at_a_time_are_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randint(0, 256, (5, 3, 40, 56), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole = open_clip_resize(images, 64), squash_resize(images, 99), clean_fid_resize(images, 299)
    monkeypatch.setitem(device.PIXELS_AT_ONCE, "cpu", 2 * 40 * 56)
    assert torch.equal(open_clip_resize(images, 64), whole[0])
    assert torch.equal(squash_resize(images, 99), whole[1])
    torch.testing.assert_close(clean_fid_resize(images, 299), whole[2], rtol=0, atol=1e-4)


@pytest.mark.usefixtures("unchecked")
def test_only_uint8_batches() -> None:
    with pytest.raises(TypeError, match="uint8"):
        clean_fid_resize(torch.zeros(1, 3, 8, 8), 299)
    with pytest.raises(TypeError, match="uint8"):
        open_clip_resize(torch.zeros(1, 3, 8, 8), 224)


def test_a_strip_costs_no_more_than_what_is_kept_of_it() -> None:
    """Its long side would become 917,504 pixels, all but 224 of which are cropped away."""
    strip = torch.randint(0, 256, (1, 3, 1, 4096), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    tracemalloc.start()
    assert open_clip_resize(strip, 224).shape == open_clip_resize(strip.mT, 224).shape == (1, 3, 224, 224)
    assert tracemalloc.get_traced_memory()[1] < 2**27
    tracemalloc.stop()
