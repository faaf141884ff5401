"""What every metric must do, whatever its network: identity, symmetry, worse when the images are made worse."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from scorer.cosines import cosines
from scorer.frechet import feature_statistics, frechet_distance
from scorer.metrics.psnr import psnr
from scorer.metrics.ssim import ssim
from scorer.networks.clip import Clip, load_clip
from scorer.networks.inception import BestiaryInception
from submission import Competition

CPU = torch.device("cpu")
N = 192  # more than the 176 features


@pytest.fixture(scope="module")
def networks() -> tuple[BestiaryInception, Clip]:
    return BestiaryInception(CPU), load_clip("bestiary", None, CPU)


@pytest.fixture(scope="module")
def references() -> list[Image.Image]:
    competition = Competition.load("bestiary")
    files = competition.references()
    return [Image.fromarray(files.read(prompt.image_name)) for prompt in competition.prompts[:N]]


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def as_batch(images: list[Image.Image]) -> torch.Tensor:
    return torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2).contiguous()


def blur(image: Image.Image, strength: int) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(0.6 * strength))


def noise(image: Image.Image, strength: int) -> Image.Image:
    pixels = np.asarray(image).astype(float)
    added = np.random.default_rng(int(pixels.sum())).normal(0, 14 * strength, pixels.shape)
    return Image.fromarray((pixels + added).clip(0, 255).astype(np.uint8))


def jpeg(image: Image.Image, strength: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=(40, 12, 3)[strength - 1])
    return Image.open(file).convert("RGB")


def colour_shift(image: Image.Image, strength: int) -> Image.Image:
    shift = strength * np.array([-30, 15, 30])
    return Image.fromarray((np.asarray(image).astype(int) + shift).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("degrade", [blur, noise, jpeg, colour_shift])
def test_worse_images_score_worse(
    degrade: Callable[[Image.Image, int], Image.Image],
    networks: tuple[BestiaryInception, Clip],
    references: list[Image.Image],
) -> None:
    inception, clip = networks
    original = as_batch(references)
    reference, embedded = inception.features(original), clip.image_features(original)
    mean, covariance = feature_statistics(reference)
    rows = []
    for strength in (1, 2, 3):
        worse = as_batch([degrade(image, strength) for image in references])
        similar = cosines(clip.image_features(worse), embedded).mean()
        distance = frechet_distance(inception.features(worse), mean, covariance)
        rows.append(
            [-distance, *(float(x) for x in (similar, psnr(worse, original).mean(), ssim(worse, original).mean()))]
        )
    perfect = [0.0, 1.0, 100.0, 1.0]
    for better, worse in zip([perfect, *rows], rows, strict=False):
        assert all(a > b for a, b in zip(better, worse, strict=True)), (degrade.__name__, rows)


def test_identity_and_symmetry(networks: tuple[BestiaryInception, Clip], references: list[Image.Image]) -> None:
    inception, clip = networks
    images, other = as_batch(references), as_batch([blur(image, 2) for image in references])
    a, b = inception.features(images), inception.features(other)
    assert abs(frechet_distance(a, *feature_statistics(a))) < 1e-6
    forth, back = frechet_distance(a, *feature_statistics(b)), frechet_distance(b, *feature_statistics(a))
    assert forth == pytest.approx(back, rel=1e-9)
    embedded = clip.image_features(images)
    torch.testing.assert_close(cosines(embedded, embedded), torch.ones(N, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(ssim(images, images), torch.ones(N))
    torch.testing.assert_close(ssim(images, other), ssim(other, images))


def test_file_order_and_batch_size(networks: tuple[BestiaryInception, Clip], references: list[Image.Image]) -> None:
    """FID knows no order of the images; each image's features know nothing of its batch."""
    inception, _ = networks
    images = as_batch(references)
    features = inception.features(images)
    mean, covariance = feature_statistics(inception.features(as_batch([blur(image, 1) for image in references])))
    whole = frechet_distance(features, mean, covariance)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(0))
    assert frechet_distance(features[order], mean, covariance) == pytest.approx(whole, rel=1e-7)
    in_parts = torch.cat([inception.features(part) for part in images.split(7)])
    assert (in_parts - features).abs().max() <= 1e-5 * features.abs().max()
    assert frechet_distance(in_parts, mean, covariance) == pytest.approx(whole, rel=1e-5)
