"""Labelled pictures: which label goes with which, and that a doubtful file is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from baselines.clip_guided import data
from baselines.clip_guided.guide_data import LabelledSource
from submission.errors import CompetitionError, MissingPart


def test_a_line_for_each_folder(cars: Path) -> None:
    pictures = data.read(cars, 16, cars.parent / "cars.txt")
    assert pictures.images.shape == (24, 3, 16, 16)
    assert pictures.images.dtype == torch.uint8
    assert pictures.labels == ["a blue sedan", "a blue truck", "a red sedan", "a red truck"]
    for k in range(24):
        red, _, blue = pictures.images[k, :, 7, 8].tolist()
        label = pictures.labels[int(pictures.label[k])]
        assert (red > blue) == ("red" in label)
    assert pictures.group.tolist() == [k // 2 for k in range(24)]


def test_names_before_labels_may_stand_in_any_order(cars: Path) -> None:
    bare = data.read(cars, 16, cars.parent / "cars.txt")
    lines = (cars.parent / "cars.txt").read_text().splitlines()
    named = [f"{number:04d}\t{label}" for number, label in enumerate(lines)]
    (cars / "labels.txt").write_text("\n".join(named[::-1]))
    read = data.read(cars, 16)
    assert torch.equal(read.label, bare.label)
    assert torch.equal(read.images, bare.images)


def test_a_label_for_each_picture(tmp_path: Path) -> None:
    for name, colour in (("b.png", "red"), ("a.png", "blue")):
        Image.new("RGB", (8, 8), colour).save(tmp_path / name)
    (tmp_path / "labels.txt").write_text("b.png\ta red thing\na.png\ta blue thing\n")
    pictures = data.read(tmp_path, 8)
    assert [pictures.labels[k] for k in pictures.label.tolist()] == ["a blue thing", "a red thing"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a red sedan\n" * 11, "11 labels for 12"),
        ("a red sedan\n" * 11 + "0011\ta red sedan\n", "1 of them with a tab"),
        ("".join(f"{k:04d}\ta car\n" for k in range(11)), "0011: has no line"),
        ("".join(f"{k:04d}\ta car\n" for k in range(13)), "0012: is not there"),
        ("".join(f"{k:04d}\ta car\n" for k in range(12)) + "0003\ta bus\n", "twice"),
        ("".join(f"{k:04d}\t\n" for k in range(12)), "0003: has no label|12 × has no label"),
        ("", "0 lines"),
    ],
)
def test_labels_that_do_not_fit_are_refused(text: str, complaint: str, cars: Path) -> None:
    (cars / "labels.txt").write_text(text)
    with pytest.raises(CompetitionError, match=complaint):
        data.read(cars, 16)


def test_what_is_missing_is_said(cars: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingPart, match=r"labels\.txt"):
        data.read(cars, 16)
    with pytest.raises(MissingPart, match="nowhere"):
        data.read(tmp_path / "nowhere", 16)


def test_a_training_set_is_labelled_by_main_colour_and_body(training_set: Path) -> None:
    plain = data.read(training_set, 8)
    assert plain.captions[0] == ("Red slime.", "Crimson slime with horns.", "Slime in red.")
    attributes = {key: {"body": "slime", "colours": ["orange", "teal"]} for key in ("0_main", "0_attack1", "1_main")}
    (training_set / "train_attributes.json").write_text(json.dumps(attributes))
    assert data.read(training_set, 8).labels == ["an orange slime"]
    assert data.read(training_set, 8).group.tolist() == [0, 0, 0, 0, 1]
    del attributes["1_main"]
    (training_set / "train_attributes.json").write_text(json.dumps(attributes))
    with pytest.raises(CompetitionError, match="1_main"):
        data.read(training_set, 8)


def test_a_batch_holds_one_picture_of_each_label(cars: Path) -> None:
    pictures = data.read(cars, 16, cars.parent / "cars.txt")
    source = LabelledSource.of(pictures, 100)
    assert source.batch_size == 4
    held_out = {int(pictures.group[k]) for part in source.validation.values() for k in part}
    trained = {int(pictures.group[k]) for part in source.training.values() for k in part}
    assert held_out
    assert not held_out & trained
    for seed in range(5):
        batch = source.batch(torch.Generator().manual_seed(seed))
        assert sorted(batch.texts) == pictures.labels
        for image, text in zip(batch.images, batch.texts, strict=True):
            assert (image[0, 7, 8] > image[2, 7, 8]) == ("red" in text)
    again = source.batch(torch.Generator().manual_seed(4))
    assert torch.equal(again.images, batch.images)


def test_a_batch_may_hold_several_pictures_of_a_label(cars: Path) -> None:
    pictures = data.read(cars, 16, cars.parent / "cars.txt")
    source = LabelledSource.of(pictures, 100, of_each=2)
    batch = source.batch(torch.Generator().manual_seed(0))
    held = {pictures.labels[label]: min(2, len(there)) for label, there in source.training.items()}
    assert {text: batch.texts.count(text) for text in batch.texts} == held
    assert max(held.values()) == 2
    assert len(batch.images.flatten(1).unique(dim=0)) == len(batch.images)
    assert len(LabelledSource.of(pictures, 3, of_each=2).batch(torch.Generator().manual_seed(0)).texts) <= 3
