"""The course's training layout, and everything that can be wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from baselines.training.data import find_training_data, read_training_data, read_training_image
from competitions.bestiary import dataset
from competitions.bestiary.artist.world import ACTION_TEXT, frame_numbers
from submission import CompetitionError, MissingPart
from submission.errors import UsageError


def test_entries_in_the_files_order_with_frames_by_number(training_set) -> None:
    entries = read_training_data(training_set)
    assert [entry.key for entry in entries] == ["0_main", "0_attack1", "1_main"]
    assert [path.name for path in entries[0].frames] == ["0_main_0.png", "0_main_2.png", "0_main_10.png"]
    assert entries[0].captions == ("Red slime.", "Crimson slime with horns.", "Slime in red.")
    assert entries[1].captions[1] == "Red slime with horns. The monster is attacking."


def test_finders_files_are_passed_over(training_set) -> None:
    (training_set / "train" / ".DS_Store").write_bytes(b"x")
    assert len(read_training_data(training_set)) == 3


@pytest.mark.parametrize("part", ["train_info.json", "train"])
def test_a_missing_part_is_named(training_set, part) -> None:
    (training_set / part).rename(training_set / "elsewhere")
    with pytest.raises(MissingPart, match=rf"no {part}[\s\S]*put train_info.json and train/, or a CSV"):
        read_training_data(training_set)


def test_a_command_brings_what_is_shipped_only(tmp_path) -> None:
    with pytest.raises(MissingPart, match="make data COMPETITION=bestiary"):
        read_training_data(tmp_path / "bestiary")
    with pytest.raises(MissingPart, match=r"into .*/dir, which is not there"):
        read_training_data(tmp_path / "dir")


def test_all_problems_at_once(training_set) -> None:
    info = json.loads((training_set / "train_info.json").read_text())
    info["0_main"]["given_description"] = "one text"
    info["0_attack1"]["given_description"] = ["fine", " "]
    info["1_main"]["action_description"] = None
    info["5_main"] = {**info["1_main"], "action_description": ""}
    info["6_main"] = {"given_description": []}
    (training_set / "train_info.json").write_text(json.dumps(info))
    train = training_set / "train"
    Image.new("RGB", (64, 64)).save(train / "9_main_0.png")
    (train / "1_main.txt").write_text("x")
    (train / "1_main_4.png").mkdir()
    (train / "1_main_03.png").write_bytes(b"")
    with pytest.raises(CompetitionError) as caught:
        read_training_data(training_set)
    said = str(caught.value)
    for part in (
        "0_main: given_description must be a list",
        "0_attack1: given_description holds an empty text",
        "1_main: action_description must be a text",
        "5_main",
        "6_main: must have exactly the fields",
        "train/9_main_0.png: belongs to no entry",
        "train/1_main.txt",
        "train/1_main_4.png",
        "is the same frame as 1_main_03.png",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "one object"),
        ("{}", "one object"),
        ('{"0_main": 1, "0_main": 2}', "twice"),
        ('{"0_main": NaN}', "NaN"),
        ("[" * 100_000, "nested"),
    ],
)
def test_what_is_no_train_info(training_set, text, said) -> None:
    (training_set / "train_info.json").write_text(text)
    with pytest.raises(CompetitionError, match=said):
        read_training_data(training_set)


def test_a_frame_that_is_no_such_image_is_named(training_set) -> None:
    path = training_set / "train" / "1_main_3.png"
    assert read_training_image(path, 64).shape == (64, 64, 3)
    with pytest.raises(CompetitionError, match=r"1_main_3.png: is 64×64 pixels, expected 32×32"):
        read_training_image(path, 32)


def test_the_bestiarys_own_training_set_is_read(tmp_path) -> None:
    drawn = dataset.splits()["train"][:6]
    images = dataset.write_training(drawn, tmp_path, workers=1)
    entries = read_training_data(tmp_path)
    assert [entry.key for entry in entries] == [entry.key for entry in drawn]
    assert sum(len(entry.frames) for entry in entries) == images
    for entry, source in zip(entries, drawn, strict=True):
        assert len(entry.captions) == 3
        assert all(caption.endswith(ACTION_TEXT[source.action]) for caption in entry.captions)
        numbers = frame_numbers(source.monster, source.action_key)
        assert [path.name for path in entry.frames] == [f"{entry.key}_{number}.png" for number in numbers]
    assert read_training_image(entries[0].frames[0], 64).shape == (64, 64, 3)


# A CSV and images


def write_csv(folder: Path, text: str, *names: str) -> Path:
    (folder / "train").mkdir(parents=True)
    (folder / "train.csv").write_text(text, encoding="utf-8")
    for name in names:
        Image.new("RGB", (64, 64), (len(name), 0, 0)).save(folder / "train" / name)
    return folder


def test_brainrots_columns_make_its_prompts(tmp_path: Path) -> None:
    text = "id,animal,object\n000001.png,shark,sneaker\n2,otter,apple\n"
    entries = read_training_data(write_csv(tmp_path, text, "000001.png", "2.png"))
    assert [(entry.key, entry.captions) for entry in entries] == [
        ("000001.png", ("a shark and a sneaker",)),
        ("2.png", ("an otter and an apple",)),
    ]
    assert entries[1].frames == (tmp_path / "train" / "2.png",)


def test_a_column_of_captions_or_a_caption_of_columns(tmp_path: Path) -> None:
    text = "file_name;caption;colour\n1.png;a owl;red\n1.png;bird;red\n"
    folder = write_csv(tmp_path, text, "1.png")
    assert read_training_data(folder)[0].captions == ("a owl", "bird")  # as it is written
    entries, problems = find_training_data(folder, "{colour} {caption}")
    assert (entries[0].captions, problems) == (("red a owl", "red bird"), [])
    with pytest.raises(UsageError, match="does not fit the columns file_name, caption, colour"):
        find_training_data(folder, "{animal}")


def test_all_that_is_wrong_with_a_csv_at_once(tmp_path: Path) -> None:
    text = "id,prompt\n1.png,\n../2.png,x\n3.png,x\n4.png,x,y\n"
    with pytest.raises(CompetitionError) as caught:
        read_training_data(write_csv(tmp_path, text, "1.png", "5.png"))
    for part in (
        "1.png: has no caption",
        "line 3",
        "3.png: is in train.csv but not in train/",
        "line 5",
        "train/5.png",
    ):
        assert part in str(caught.value)
