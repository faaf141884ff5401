"""PSNR and SSIM against torchmetrics and scikit-image, one pair at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure

from scorer.metrics.psnr import psnr
from scorer.metrics.ssim import ssim


def pairs(n: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(height)
    images = torch.randint(0, 256, (n, 3, height, width), dtype=torch.uint8, generator=generator)
    noise = torch.randint(-40, 41, images.shape, generator=generator)
    # Growing noise: the pairs differ, so that a mean over the batch would show.
    strength = torch.linspace(0.1, 1.0, n)[:, None, None, None]
    return images, (images + noise * strength).clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 65), (128, 96), (6, 11)])
def test_against_torchmetrics_one_pair_at_a_time(height: int, width: int) -> None:
    images, references = pairs(6, height, width)
    ours_psnr, ours_ssim = psnr(images, references), ssim(images, references)
    for i in range(len(images)):
        a, b = images[i : i + 1] / 255.0, references[i : i + 1] / 255.0
        assert ours_psnr[i].item() == pytest.approx(PeakSignalNoiseRatio(data_range=1.0)(a, b).item(), abs=1e-5)
        assert ours_psnr[i].item() == pytest.approx(-10 * math.log10(((a - b).double() ** 2).mean()), abs=1e-5)
        expected = StructuralSimilarityIndexMeasure(sigma=1.5, data_range=1.0)(a, b)
        assert ours_ssim[i].item() == pytest.approx(expected.item(), abs=1e-5)


def test_ssim_against_scikit_image_away_from_the_border() -> None:
    """Wang's own settings in scikit-image, whose full map equals ours where the window does not touch the border."""
    images, references = pairs(1, 96, 96)
    a, b = (x[0].permute(1, 2, 0).numpy() / 255.0 for x in (images, references))
    _, full = structural_similarity(
        a, b, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, full=True
    )
    # The border counts here, reflected alike by both libraries up to the corner pixel's repetition.
    assert ssim(images, references).item() == pytest.approx(np.mean(full), abs=2e-3)


def test_identical_pairs() -> None:
    images, _ = pairs(2, 64, 64)
    assert torch.isinf(psnr(images, images)).all()
    assert torch.allclose(ssim(images, images), torch.ones(2), atol=1e-6)


@pytest.mark.usefixtures("unchecked")
def test_shapes_that_would_broadcast_are_refused() -> None:
    images, references = pairs(2, 64, 64)
    for metric in (psnr, ssim):
        with pytest.raises(ValueError, match="references"):
            metric(images, references[..., :1])
    with pytest.raises(ValueError, match="at least 6"):
        ssim(images[..., :5, :5], references[..., :5, :5])
