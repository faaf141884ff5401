"""What trainings draw from a small training set: each picture's own captions, one crop for a batch, encoded once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from baselines.training.pictures import Pictures, cropped_and_flipped, encoded_once, load_pictures
from submission import CompetitionError


@pytest.fixture
def pictures(training_set: Path) -> Pictures:
    return load_pictures(training_set)


def test_numbers_lead_back_to_the_captions(pictures: Pictures) -> None:
    assert pictures.distinct_captions == sorted(set(pictures.distinct_captions))
    named = [[pictures.distinct_captions[number] for number in numbers] for numbers in pictures.caption_numbers]
    assert named == pictures.captions


def test_a_picture_gets_each_of_its_own_captions(pictures: Pictures) -> None:
    generator = torch.Generator().manual_seed(0)
    indices = torch.tensor([0, len(pictures.images) - 1])
    picked = torch.stack([pictures.pick_captions(indices, generator) for _ in range(60)])
    for column, entry in zip(picked.T, pictures.entry[indices].tolist(), strict=True):
        assert set(column.tolist()) == set(pictures.caption_numbers[entry])


@pytest.mark.parametrize("count", [1, 4, 100])
def test_some_captions_are_different_ones(pictures: Pictures, count: int) -> None:
    some = pictures.some_captions(count)
    assert len(set(some)) == len(some) == min(count, len(pictures.distinct_captions))


def test_two_training_sets_are_one_with_the_captions_of_each(
    pictures: Pictures, one_picture: Callable[..., Path]
) -> None:
    both = pictures.and_those_of(one_picture())
    assert torch.equal(both.images[:-1], pictures.images)
    assert both.images[-1, :, 0, 0].tolist() == [255, 0, 0]
    captions = [both.captions[entry] for entry in both.entry.tolist()]
    assert captions == [*(pictures.captions[entry] for entry in pictures.entry.tolist()), ["All red."]]
    assert both.kept["pictures"] != pictures.kept["pictures"]
    assert both.kept["captions"] != pictures.kept["captions"]


def test_pictures_of_two_sizes_are_no_training_set(pictures: Pictures, one_picture: Callable[..., Path]) -> None:
    with pytest.raises(CompetitionError, match="of 64 and of 32 pixels"):
        pictures.and_those_of(one_picture(32))


def test_a_crop_is_a_part_of_the_images_and_half_are_mirrored() -> None:
    images = torch.arange(2 * 3 * 6 * 6, dtype=torch.uint8).view(2, 3, 6, 6)
    generator = torch.Generator().manual_seed(0)
    seen = {tuple(cropped_and_flipped(images, 4, generator)[0, 0, 0, :2].tolist()) for _ in range(300)}
    corners = {(6 * y + x, 6 * y + x + 1) for y in range(3) for x in range(3)}
    assert seen == corners | {(first + 3, first + 2) for first, _ in corners}
    whole = [cropped_and_flipped(images, None, generator) for _ in range(100)]
    assert 30 < sum(torch.equal(one, images) for one in whole) < 70
    assert all(torch.equal(one, images) or torch.equal(one, images.flip(3)) for one in whole)


def test_what_is_there_is_not_encoded_again(tmp_path: Path) -> None:
    def encode() -> dict[str, Tensor]:
        calls.append(1)
        return {"latents": torch.arange(3)}

    calls: list[int] = []
    file = tmp_path / "run" / "encoded.safetensors"
    for _ in range(2):
        assert encoded_once(file, encode, Accelerator(cpu=True))["latents"].tolist() == [0, 1, 2]
    assert len(calls) == 1
