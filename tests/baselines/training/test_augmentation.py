"""Strong augmentation: of every picture its own, white outside, repeatable."""

from __future__ import annotations

import torch

from baselines.training.augmentation import augmented, draw_changes


def test_each_picture_is_changed_in_its_own_way_on_white() -> None:
    images = torch.full((6, 3, 32, 32), 255, dtype=torch.uint8)
    images[:, 0, 8:24, 8:24] = 0  # a cyan square
    x = augmented(images, draw_changes(6, torch.Generator().manual_seed(0)))
    assert torch.equal(x, augmented(images, draw_changes(6, torch.Generator().manual_seed(0))))
    assert x.min() >= -1
    assert x.max() <= 1
    assert len({row.numpy().tobytes() for row in x}) == 6
    corners = x[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners.amax(dim=2) - corners.amin(dim=2) < 1e-5).all()  # one light of the white
    inside = x[:, :, 15:17, 15:17].mean(dim=(2, 3))
    assert (inside[:, 0] < inside[:, 1] - 1).all()  # still cyan
    areas = (x[:, 1] - x[:, 0] > 1).float().sum(dim=(1, 2))
    assert areas.std() > 5  # zoomed
