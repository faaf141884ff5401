"""Pixels: the ends of the range, the order of a grid, and the PSNR against scikit-image's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from baselines.pixels import psnr, save_grid, to_arrays, to_pixels


def test_every_pixel_comes_back_and_what_is_beyond_is_clipped() -> None:
    values = torch.arange(256)
    assert torch.equal(to_pixels(values.float() / 127.5 - 1), values.byte())
    assert to_pixels(torch.tensor([-7.0, 7.0])).tolist() == [0, 255]
    assert to_pixels(torch.tensor([0.5], dtype=torch.bfloat16)).tolist() == [191]  # 191.25 is no bfloat16


def test_arrays_have_the_channels_last() -> None:
    pixels = torch.arange(24, dtype=torch.uint8).view(2, 3, 2, 2)
    array = to_arrays(pixels)
    assert array.shape == (2, 2, 2, 3)
    assert array[1, 0, 1].tolist() == pixels[1, :, 0, 1].tolist()


@pytest.mark.parametrize(("count", "size"), [(3, (12, 4)), (4, (16, 4)), (6, (16, 8))])
def test_a_grid_goes_line_by_line(count: int, size: tuple[int, int], tmp_path: Path) -> None:
    pixels = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)
    save_grid(pixels, tmp_path / "grid.png", columns=4)
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == size
        cells = np.asarray(grid)[::4, ::4, 0].flatten()
    assert cells.tolist() == [*range(count), *[255] * (len(cells) - count)]


def test_psnr_is_scikit_images() -> None:
    one, other = torch.randint(0, 256, (2, 3, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    expected = [peak_signal_noise_ratio(a, b) for a, b in zip(to_arrays(one), to_arrays(other), strict=True)]
    assert psnr(one, other).tolist() == pytest.approx(expected, rel=1e-5)
    assert psnr(one, one).tolist() == pytest.approx([68.13] * 3, abs=0.01)
