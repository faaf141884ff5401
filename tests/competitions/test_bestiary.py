"""The shipped bestiary against the real test set's numbers, against the code that draws it, and against itself."""

from __future__ import annotations

import json
import statistics
import zipfile
from collections import Counter, defaultdict
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from baselines.__main__ import main as draw_submission
from baselines.training.data import read_training_data
from competitions.bestiary import dataset
from competitions.bestiary import prepare as command
from competitions.bestiary.artist import captions, world
from competitions.bestiary.artist.draw import draw
from competitions.bestiary.artist.world import Monster
from competitions.bestiary.dataset import Entry
from submission import Competition
from submission.errors import UsageError

SHIPPED = Path(command.SHIPPED)
# The MapleStory test set of the course: 1063 entries over 166 monsters, 3 to 19 of each, median 6.
# Measured: counts over the keys of its test.json.
REAL_ACTIONS = {
    "main": 166, "hit1": 164, "stand": 163, "die1": 159, "move": 148, "attack1": 120, "skill1": 32, "attack2": 31,
    "jump": 14, "skill2": 14, "attack3": 11, "skill3": 7, "attack4": 6, "attack5": 6, "attack6": 4, "skill4": 4,
    "hit": 3, "skill5": 3, "skill6": 3, "skill7": 2, "attack7": 1, "attack8": 1, "die": 1,
}  # fmt: skip
REAL_SENTENCES = {
    "main": "", "attack": "The monster is attacking.", "die": "The monster is dying.",
    "hit": "The monster is being hit.", "move": "The monster is moving.", "stand": "The monster is standing still.",
    "jump": "The monster is jumping.", "skill": "The monster is using a skill.",
}  # fmt: skip


@pytest.fixture(scope="module")
def prompts() -> dict[str, dict[str, str]]:
    return json.loads((SHIPPED / "test.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def attributes() -> dict[str, dict]:
    return json.loads((SHIPPED / "attributes.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def references() -> dict[str, np.ndarray]:
    """image name -> uint8 (64, 64, 3)."""
    with zipfile.ZipFile(SHIPPED / "references.zip") as archive:
        return {name: np.asarray(Image.open(BytesIO(archive.read(name)))) for name in archive.namelist()}


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Entry]]:
    return dataset.splits()


def monster_of(key: str) -> int:
    return int(key.split("_")[0])


# The shipped files


def test_the_test_set_has_the_real_ones_numbers(prompts: dict) -> None:
    assert len(prompts) == 1063
    assert Counter(key.split("_")[1] for key in prompts) == REAL_ACTIONS
    assert world.TEST_ACTIONS == REAL_ACTIONS
    entries = Counter(map(monster_of, prompts))
    assert sorted(entries) == list(range(166))
    assert min(entries.values()) >= 3
    assert max(entries.values()) <= 19
    assert statistics.median(entries.values()) == 6


def test_the_entries_have_the_real_ones_form(prompts: dict) -> None:
    for key, entry in prompts.items():
        sentence = REAL_SENTENCES[key.split("_")[1].rstrip("0123456789")]
        assert list(entry) == ["image_name", "given_description", "action_description", "text_prompt"]
        assert entry["image_name"] == f"{key}.png"
        assert entry["action_description"] == sentence
        assert entry["text_prompt"] == f"{entry['given_description']} {sentence}".strip()
        assert entry["given_description"][0].isupper()
        assert entry["given_description"].endswith(".")
    # As there, a monster's description varies from action to action.
    described = defaultdict(set)
    for key, entry in prompts.items():
        described[monster_of(key)].add(entry["given_description"])
    assert statistics.mean(map(len, described.values())) > 3


def test_every_shipped_file_is_of_the_same_images(prompts: dict, attributes: dict, references: dict) -> None:
    names = [entry["image_name"] for entry in prompts.values()]
    assert list(references) == names
    assert list(attributes) == names
    assert all(image.shape == (64, 64, 3) and image.dtype == np.uint8 for image in references.values())
    assert (SHIPPED / "references.zip").stat().st_size <= 4_000_000
    competition = Competition.load("bestiary")
    assert [prompt.image_name for prompt in competition.prompts] == names
    assert competition.attributes() == attributes


def test_two_pixels_of_white_lie_around_everything(references: dict) -> None:
    images = np.stack(list(references.values()))
    images[:, 2:-2, 2:-2] = 255
    assert not [name for name, image in zip(references, images, strict=True) if (image != 255).any()]


def test_no_picture_is_nearly_empty(references: dict) -> None:
    assert min((image != 255).any(axis=2).mean() for image in references.values()) > 0.1


def test_every_action_of_a_monster_is_another_picture(references: dict) -> None:
    of_monster = defaultdict(list)
    for name, image in references.items():
        of_monster[monster_of(name)].append(image.astype(int))
    closest = min(
        (np.abs(a - b).max(axis=2) > 32).sum()
        for images in of_monster.values()
        for k, a in enumerate(images)
        for b in images[:k]
    )
    assert closest > 40, "two actions of a monster can hardly be told apart"


# The code that draws them


def test_the_shipped_texts_are_what_the_code_writes(prompts: dict, attributes: dict, splits: dict) -> None:
    assert {entry.key: entry.prompt() for entry in splits["test"]} == prompts
    assert {f"{entry.key}.png": entry.attributes() for entry in splits["test"]} == attributes


def test_the_shipped_pictures_are_what_the_code_draws(references: dict, splits: dict) -> None:
    """But for rounding: numpy's kernels for sqrt, hypot and sin differ between processors."""
    sample = splits["test"][::36]
    drawn = np.stack([np.asarray(Image.open(BytesIO(entry.picture()))) for entry in sample]).astype(int)
    shipped = np.stack([references[f"{entry.key}.png"] for entry in sample]).astype(int)
    assert len(sample) == 30
    assert np.abs(drawn - shipped).max() <= 1
    assert (drawn != shipped).mean() <= 0.001


def test_no_monster_is_in_two_splits(splits: dict) -> None:
    combinations = {split: {entry.monster.combination for entry in entries} for split, entries in splits.items()}
    assert len(combinations["test"]) == 166
    assert len(combinations["train"]) >= 1200
    for a, b in (("train", "test"), ("train", "validation"), ("validation", "test")):
        assert not combinations[a] & combinations[b]
    assert len(splits["validation"]) == 256


def test_every_thing_occurs_in_every_split(splits: dict) -> None:
    for entries in splits.values():
        seen = [entry.attributes() for entry in entries]
        assert {a["item"] for a in seen} == set(world.ITEMS)
        assert {a["action"] for a in seen} == set(world.ACTIONS)
        assert {f for a in seen for f in a["features"]} == set(world.FEATURES)
        assert {c for a in seen for c in a["colours"]} == set(world.COLOURS)
        assert {a["body"] for a in seen} == set(world.BODIES)
    assert len(world.BODIES) >= 16
    assert len(world.COLOURS) >= 10
    assert len(world.FEATURES) >= 8


def named(text: str, words: tuple[str, ...]) -> bool:
    return any(word in text for word in words)


@pytest.mark.parametrize("split", ["test", "validation", "train"])
def test_captions_name_everything_that_is_visible_and_nothing_else(split: str, splits: dict) -> None:
    for entry in splits[split][:: 4 if split == "train" else 1]:
        asked = entry.attributes()
        for k in range(3):
            text = entry.caption(k).lower()
            assert named(text, captions.BODY_WORDS[asked["body"]]), text
            assert " and ".join(asked["colours"]) in text, text
            for feature, words in captions.FEATURE_WORDS.items():
                assert named(text, words) == (feature in asked["features"]), text
            for item, words in captions.ITEM_WORDS.items():
                assert named(text, words) == (item == asked["item"]), text


# What a caption names can be seen

PLAIN = Monster("bear", ("teal",), (), "none", "plain", "medium", "a test's own")


def pixels_apart(a: Monster, b: Monster, action: str = "main", other: str | None = None) -> int:
    """How many pixels differ by more than 32 grey levels in some channel, drawn with the same dice."""
    first, second = (draw(m, act, "dice").astype(int) for m, act in ((a, action), (b, other or action)))
    return int((np.abs(first - second).max(axis=2) > 32).sum())


@pytest.mark.parametrize("body", world.BODIES)
def test_each_feature_item_and_colour_shows_on_each_body(body: str) -> None:
    monster = replace(PLAIN, body=body)
    for feature in world.FEATURES:
        assert pixels_apart(monster, replace(monster, features=(feature,))) >= 25, feature
    for item in world.ITEMS[1:]:
        assert pixels_apart(monster, replace(monster, item=item)) >= 25, item
    for colours in (("red",), ("teal", "yellow")):
        assert pixels_apart(monster, replace(monster, colours=colours)) >= 25, colours


def test_each_body_and_each_action_looks_its_own_way() -> None:
    for a, b in pairwise(world.BODIES):
        assert pixels_apart(replace(PLAIN, body=a), replace(PLAIN, body=b)) >= 200, (a, b)
    for k, a in enumerate(world.ACTIONS):
        for b in world.ACTIONS[:k]:
            assert pixels_apart(PLAIN, PLAIN, a, b) >= 60, (a, b)


def test_the_same_dice_draw_the_same_picture_and_others_another() -> None:
    first = draw(PLAIN, "attack", "dice")
    assert first.tobytes() == draw(PLAIN, "attack", "dice").tobytes()
    assert first.tobytes() != draw(PLAIN, "attack", "other dice").tobytes()


# The files that `make data` writes


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_whole_training_set(splits: dict) -> None:
    frames = [world.frame_numbers(entry.monster, entry.action_key) for entry in splits["train"]]
    assert sum(map(len, frames)) >= 12_000
    assert len({monster_of(entry.key) for entry in splits["train"]}) >= 1_200
    assert len({entry.key for entry in splits["train"]}) == len(splits["train"])
    # Gaps, as in the real set, where the number of frames says nothing of their names.
    assert any(of_entry != list(range(len(of_entry))) for of_entry in frames)
    assert any(b - a > 1 for of_entry in frames for a, b in pairwise(of_entry))


def test_the_training_layout(tmp_path: Path, splits: dict) -> None:
    entries = splits["train"][:5]
    images = dataset.write_training(entries, tmp_path, workers=1)
    info = json.loads((tmp_path / "train_info.json").read_text())
    assert list(info) == [entry.key for entry in entries]
    names = set()
    for entry in entries:
        row = info[entry.key]
        assert list(row) == ["original_name", "given_description", "action_description", "num_frames"]
        assert len(row["given_description"]) == 3
        assert row["action_description"] == REAL_SENTENCES[entry.action]
        names |= {f"{entry.key}_{frame}.png" for frame in world.frame_numbers(entry.monster, entry.action_key)}
    assert {path.name for path in (tmp_path / "train").iterdir()} == names
    assert images == len(names)
    attributes = json.loads((tmp_path / "train_attributes.json").read_text())
    assert attributes == {entry.key: entry.attributes() for entry in entries}

    whole = tree(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "train").iterdir()}
    assert dataset.write_training(entries, tmp_path, workers=1) == images
    assert tree(tmp_path) == whole
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "train").iterdir()} == times
    next((tmp_path / "train").iterdir()).unlink()
    (tmp_path / "train_info.json").unlink()
    dataset.write_training(entries, tmp_path, workers=1)
    assert tree(tmp_path) == whole


def test_two_workers_draw_what_one_draws(tmp_path: Path, splits: dict) -> None:
    entries = splits["validation"][:3]
    for workers in (1, 2):
        dataset.write_competition_data(entries, tmp_path / str(workers), workers, "a few")
    assert tree(tmp_path / "1") == tree(tmp_path / "2")


def test_the_command_draws_both_sets_once(
    tmp_path: Path, splits: dict, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = {split: entries[:4] for split, entries in splits.items()}
    monkeypatch.setattr(dataset, "splits", lambda: few)
    assert command.main(["--out", str(tmp_path), "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert f"{len(list((tmp_path / 'train').iterdir()))} training images of " in said
    assert f" of {len({monster_of(entry.key) for entry in few['train']})} monsters and 4 validation prompts" in said
    validation = Competition.load(tmp_path / "validation")
    shipped = Competition.load("bestiary")
    assert validation.name == "bestiary-validation"
    assert (validation.image_size, validation.backbones, validation.tiers) == (
        shipped.image_size, shipped.backbones, shipped.tiers,
    )  # fmt: skip
    assert [prompt.image_name for prompt in validation.prompts] == [f"{entry.key}.png" for entry in few["validation"]]
    picture = validation.references().read(validation.prompts[0].image_name)
    assert picture.shape == (64, 64, 3)
    before = tree(tmp_path)
    assert command.main(["--out", str(tmp_path), "--workers", "1"]) == 0
    assert "already drawn" in capsys.readouterr().out
    assert tree(tmp_path) == before


def test_two_versions_of_the_world_are_never_mixed(
    tmp_path: Path, splits: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "splits", lambda: {split: entries[:2] for split, entries in splits.items()})
    assert command.main(["--out", str(tmp_path), "--workers", "1"]) == 0
    monkeypatch.setattr(dataset, "VERSION", dataset.VERSION + 1)
    before = tree(tmp_path)
    with pytest.raises(UsageError, match="remove the folder"):
        command.main(["--out", str(tmp_path), "--workers", "1"])
    assert tree(tmp_path) == before


def test_more_entries_are_of_monsters_that_no_split_has(splits: dict) -> None:
    taken = {entry.monster.combination for entries in splits.values() for entry in entries}
    more = dataset.more_entries(500)
    combinations = {entry.monster.combination for entry in more}
    assert len(combinations) == 500
    assert not combinations & taken
    assert dataset.more_entries(20) == more[:20]


def test_captions_become_a_training_set_when_a_model_has_drawn_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--out", str(tmp_path), "--captions", "12"]) == 0
    folder = tmp_path / "captions"
    assert f"--competition {folder} --out {folder}/train" in capsys.readouterr().out
    prompts = Competition.load(folder).prompts
    assert [prompt.text for prompt in prompts] == [entry.prompt()["text_prompt"] for entry in dataset.more_entries(12)]
    assert not (tmp_path / "train").exists()
    assert draw_submission(["noise", "--competition", str(folder), "--out", str(folder / "train")]) == 0
    assert [entry.captions for entry in read_training_data(folder)] == [(prompt.text,) for prompt in prompts]


@pytest.mark.parametrize("count", ["0", "-3"])
def test_no_captions_are_none(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["--captions", count])
    assert "is not at least 1" in capsys.readouterr().err
