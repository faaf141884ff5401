"""What the losses of several models share, against what it must be."""

from __future__ import annotations

import pytest
import torch

from baselines.training.losses import contrastive_loss, drop_mask, stratified_timesteps


def test_one_timestep_of_each_slice() -> None:
    generator = torch.Generator().manual_seed(0)
    t = torch.stack([stratified_timesteps(8, 1000, generator) for _ in range(50)])
    assert (t.sort(dim=1).values // 125 == torch.arange(8)).all()
    assert (t[:, 0] // 125).unique().numel() > 4  # in random order
    assert stratified_timesteps(3, 1, generator).tolist() == [0, 0, 0]


def test_times_cover_the_schedule_evenly() -> None:
    t = stratified_timesteps(50, 1000, torch.Generator().manual_seed(3))
    assert sorted((t // 20).tolist()) == list(range(50))


def test_each_share_of_the_captions_is_dropped_independently() -> None:
    generator = torch.Generator().manual_seed(0)
    masks = torch.stack([drop_mask(20_000, share, generator) for share in (0.0, 0.1, 0.5, 1.0)])
    assert masks.float().mean(dim=1).tolist() == pytest.approx([0, 0.1, 0.5, 1], abs=0.01)
    both = (masks[1] & masks[2]).float().mean()
    assert float(both) == pytest.approx(0.05, abs=0.005)  # independent


def test_the_contrastive_loss_wants_each_image_with_its_text() -> None:
    embeddings = torch.eye(8)
    loss, hits = contrastive_loss(embeddings, embeddings, torch.tensor(100.0))
    assert loss < 1e-3
    assert hits == 1
    loss, hits = contrastive_loss(embeddings, embeddings.roll(1, 0), torch.tensor(100.0))
    assert loss == pytest.approx(100, rel=1e-3)
    assert hits == 0


def test_the_contrastive_loss_is_symmetric_cross_entropy() -> None:
    image, text = torch.nn.functional.normalize(torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0)), dim=2)
    value, right = contrastive_loss(image, text, torch.tensor(7.0))
    logits = 7 * image @ text.T
    rows = -(logits.softmax(1).diagonal().log().mean() + logits.softmax(0).diagonal().log().mean()) / 2
    assert float(value) == pytest.approx(float(rows), rel=1e-5)
    assert contrastive_loss(image, image, torch.tensor(7.0))[1] == 1.0
    assert right <= 1
