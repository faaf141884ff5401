"""The shipped monster: what it needs, what it says, and that its images depend on prompt and seed alone."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import baselines
from baselines.pretrained import WEIGHTS
from submission import Competition, MissingPart
from submission.errors import UsageError

PROMPTS = ["Red slime monster with horns and sword.", "Small blue cat monster.", "Green bird monster with wings."]


@pytest.fixture(scope="module")
def bestiary() -> Competition:
    return Competition.load("bestiary")


@pytest.fixture(scope="module")
def monster(bestiary):
    return baselines.load("monster", bestiary, "cpu", steps=4)


def test_shapes_settings_and_weights(monster):
    images = monster.generate(PROMPTS, [1, 2, 3])
    assert images.shape == (3, 64, 64, 3)
    assert images.dtype == np.uint8
    assert monster.settings["steps"] == 4
    assert {name.split("/")[0] for name in monster.weights} == {"vae", "text_encoder", "unet"}
    assert all(len(sha) == 64 for sha in monster.weights.values())


def test_an_image_depends_on_its_prompt_and_seed_only(monster):
    forwards = monster.generate(PROMPTS, [1, 2, 3])
    backwards = monster.generate(PROMPTS[::-1], [3, 2, 1])
    assert np.array_equal(forwards, backwards[::-1])
    other_company = monster.generate([PROMPTS[0], PROMPTS[0], PROMPTS[2]], [1, 7, 9])
    assert np.array_equal(forwards[0], other_company[0])
    assert not np.array_equal(other_company[0], other_company[1])


def test_another_batch_size_changes_at_most_a_grey_level(monster):
    together = monster.generate(PROMPTS, [1, 2, 3]).astype(int)
    alone = np.concatenate([monster.generate([p], [s]) for p, s in zip(PROMPTS, [1, 2, 3], strict=True)]).astype(int)
    difference = np.abs(together - alone)
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.001


def test_the_prompt_matters(monster):
    red, blue = monster.generate(["Red slime monster.", "Blue slime monster."], [5, 5]).astype(float)
    ink = (red.min(2) < 200) & (blue.min(2) < 200)
    assert red[ink, 0].mean() > blue[ink, 0].mean() + 40
    assert blue[ink, 2].mean() > red[ink, 2].mean() + 40


def test_a_missing_part_says_what_to_do(tmp_path, bestiary):
    with pytest.raises(MissingPart, match="make train MODEL=monster"):
        baselines.load("monster", bestiary, "cpu", weights=str(tmp_path / "nothing"))


def test_defaults_come_from_the_folder(tmp_path, bestiary):
    folder = tmp_path / "mine"
    shutil.copytree(WEIGHTS / "monster", folder)
    (folder / "sampling.json").write_text(json.dumps({"steps": 3, "guidance_scale": 1.0, "batch_size": 2}))
    monster = baselines.load("monster", bestiary, "cpu", weights=str(folder))
    assert (monster.settings["steps"], monster.settings["guidance_scale"], monster.batch_size) == (3, 1.0, 2)


def test_no_steps_is_wrong_usage(bestiary):
    with pytest.raises(UsageError):
        baselines.load("monster", bestiary, "cpu", steps=0)
