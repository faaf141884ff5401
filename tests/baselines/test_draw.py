"""The loop: the same bytes whatever the order, the shards, the kills; clear errors for whoever writes a generator."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from baselines import GeneratorError, registry
from baselines.draw import Request, draw
from submission import Competition, Submission, image_seed
from submission.errors import UsageError


def drawn(
    model: str, competition: Competition, out: Path, overwrite: bool = False, options: dict | None = None, **keys
):
    recipe = registry.recipe(model, competition, **(options or {}))
    return draw(Request(recipe, competition, **keys), out, overwrite=overwrite)


def test_two_runs_give_the_same_bytes_and_a_valid_submission(tiny_competition, model_file, tmp_path, read_all) -> None:
    competition, model = tiny_competition(10), model_file()
    outcome = drawn(model, competition, tmp_path / "a", seed=3)
    assert (outcome.drawn, outcome.asked, outcome.complete) == (10, 10, True)
    drawn(model, competition, tmp_path / "b", seed=3)
    assert read_all(tmp_path / "a") == read_all(tmp_path / "b")
    drawn(model, competition, tmp_path / "c", seed=4)
    assert not set(read_all(tmp_path / "a").values()) & set(read_all(tmp_path / "c").values())

    submission = Submission.open(tmp_path / "a", competition)
    assert submission.manifest is not None
    assert submission.manifest.model == "my_model.py:Model"
    assert submission.manifest.settings == {"sampler": "hash", "batch_size": 4, "requested": {}}
    assert submission.manifest.resizing is None
    assert str(tmp_path) not in submission.manifest.model_dump_json()


def test_an_images_seed_is_as_the_architecture_says(tiny_competition, model_file, tmp_path, pixels) -> None:
    """The pixels of the generator in conftest, made here from sha256 alone."""
    competition = tiny_competition(2)
    drawn(model_file(), competition, tmp_path / "a", seed=5)
    seed = int(hashlib.sha256(b"5:1_main.png").hexdigest()[:16], 16)
    text = f"{competition.prompts[1].text}/{seed}/4"
    own = int(hashlib.sha256(text.encode()).hexdigest()[:16], 16)
    expected = np.random.default_rng(own).integers(0, 256, (64, 64, 3), np.uint8)
    assert np.array_equal(pixels(tmp_path / "a" / "1_main.png"), expected)


def test_the_order_of_the_prompts_changes_no_image(tiny_competition, model_file, tmp_path, read_all) -> None:
    competition, model = tiny_competition(10), model_file()
    drawn(model, competition, tmp_path / "a")
    prompts = competition.root / "test.json"
    prompts.write_text(json.dumps(dict(reversed(json.loads(prompts.read_text()).items()))))
    reordered = Competition.load(competition.root)
    assert reordered.prompts == competition.prompts[::-1]
    drawn(model, reordered, tmp_path / "b")
    a, b = read_all(tmp_path / "a"), read_all(tmp_path / "b")
    assert {name: a[name] for name in a if name != "submission.json"} == {
        name: b[name] for name in b if name != "submission.json"
    }


def test_three_shards_at_once_give_the_same_folder(tiny_competition, model_file, tmp_path, read_all, command) -> None:
    competition, model = tiny_competition(20), model_file("Model.size = 32\n")
    drawn(model, competition, tmp_path / "whole")
    shards = [
        command(model, "--competition", competition.root, "--out", tmp_path / "shards", "--shard", f"{index}/3")
        for index in range(3)
    ]
    for shard in shards:
        _, errors = shard.communicate()
        assert shard.returncode == 0, errors
    assert read_all(tmp_path / "shards") == read_all(tmp_path / "whole")


def test_a_killed_run_leaves_nothing_torn_and_ends_the_same(
    tiny_competition, model_file, tmp_path, read_all, command, pixels
) -> None:
    go_on = tmp_path / "go on"
    competition = tiny_competition(24)
    model = model_file(f"Model.waits_after, Model.until = 3, {str(go_on)!r}\n")
    out = tmp_path / "killed"
    process = command(model, "--competition", competition.root, "--out", out)
    while len(list(out.glob("*.png"))) < 6:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    go_on.touch()
    process.communicate()
    kept = sorted(out.glob("[!.]*.png"))
    assert 6 <= len(kept) < 24
    assert all(pixels(path).shape == (64, 64, 3) for path in kept)

    before = {path: path.stat().st_mtime_ns for path in kept}
    resumed = command(model, "--competition", competition.root, "--out", out)
    said, errors = resumed.communicate()
    assert resumed.returncode == 0, errors
    assert f"complete, {24 - len(kept)} drawn now" in said
    assert before == {path: path.stat().st_mtime_ns for path in kept}
    drawn(model, competition, tmp_path / "whole")
    assert read_all(out) == read_all(tmp_path / "whole")


def test_a_limit_draws_the_first_prompts_and_can_be_gone_on_from(
    tiny_competition, model_file, tmp_path, read_all
) -> None:
    competition, model = tiny_competition(10), model_file()
    outcome = drawn(model, competition, tmp_path / "a", limit=3)
    assert (outcome.drawn, outcome.asked, outcome.complete) == (3, 3, False)
    assert {path.name for path in (tmp_path / "a").glob("*.png")} == {p.image_name for p in competition.prompts[:3]}
    assert json.loads((tmp_path / "a" / "submission.json").read_text())["images"] == {}
    assert drawn(model, competition, tmp_path / "a").drawn == 7
    drawn(model, competition, tmp_path / "b")
    assert read_all(tmp_path / "a") == read_all(tmp_path / "b")


def test_a_complete_folder_is_recognised_without_loading(tiny_competition, model_file, tmp_path) -> None:
    competition = tiny_competition(4)
    model = model_file(
        "import pathlib\nclass Once(Model):\n    def __init__(self):\n        self.made.touch(exist_ok=False)\n"
    )
    path = Path(model.split(":")[0])
    path.write_text(path.read_text() + f"Once.made = pathlib.Path({str(tmp_path / 'made')!r})\n")
    model = f"{path}:Once"
    assert drawn(model, competition, tmp_path / "a").drawn == 4
    outcome = drawn(model, competition, tmp_path / "a")
    assert (outcome.drawn, outcome.complete) == (0, True)
    path.write_text(path.read_text() + "\n# another file may draw otherwise\n")
    (tmp_path / "made").unlink()
    with pytest.raises(UsageError, match=r"weights.my_model.py"):
        drawn(model, competition, tmp_path / "a")


def test_a_default_spelled_out_is_the_same_request(tiny_competition, model_file, tmp_path) -> None:
    competition, model = tiny_competition(4), model_file()
    drawn(model, competition, tmp_path / "a")
    before = (tmp_path / "a" / "submission.json").read_bytes()
    assert drawn(model, competition, tmp_path / "a", batch_size=4).drawn == 0
    assert (tmp_path / "a" / "submission.json").read_bytes() == before
    with pytest.raises(UsageError, match=r"settings.batch_size: 4 -> 2[\s\S]*--overwrite"):
        drawn(model, competition, tmp_path / "a", batch_size=2)


STEPS = "class Steps(Model):\n    def __init__(self, steps=3):\n        self.steps = steps\n"


def test_an_option_that_the_settings_do_not_repeat_is_another_request(tiny_competition, model_file, tmp_path) -> None:
    competition, model = tiny_competition(4), model_file(STEPS, "Steps")
    drawn(model, competition, tmp_path / "a")
    with pytest.raises(UsageError, match="requested"):
        drawn(model, competition, tmp_path / "a", options={"steps": 3})
    model = model_file(STEPS + "        self.settings = {'steps': steps}\n", "Steps")
    drawn(model, competition, tmp_path / "b")
    assert drawn(model, competition, tmp_path / "b", options={"steps": 3}).drawn == 0
    with pytest.raises(UsageError, match="steps: 3 -> 4"):
        drawn(model, competition, tmp_path / "b", options={"steps": 4})


def test_other_settings_need_overwrite(tiny_competition, model_file, tmp_path, read_all) -> None:
    competition, model = tiny_competition(4), model_file()
    drawn(model, competition, tmp_path / "a")
    with pytest.raises(UsageError, match="seed: 0 -> 1"):
        drawn(model, competition, tmp_path / "a", seed=1)
    assert drawn(model, competition, tmp_path / "a", overwrite=True, seed=1).complete
    drawn(model, competition, tmp_path / "b", seed=1)
    assert read_all(tmp_path / "a") == read_all(tmp_path / "b")


def test_an_edited_file_is_named_with_what_draws_it_again(tiny_competition, model_file, tmp_path, command) -> None:
    competition = tiny_competition(4)
    drawn(model_file(), competition, tmp_path / "a")
    model = model_file("# a thought\n")
    arguments = [model, "--competition", competition.root, "--out", tmp_path / "a"]
    refused = command(*arguments)
    said = refused.communicate()[1]
    assert refused.returncode == 2
    assert "weights.my_model.py: the file changed\n" in said
    assert "--overwrite draws it again (with make: ARGS=--overwrite)" in said
    assert not re.search("[0-9a-f]{64}", said)
    again = command(*arguments, "--overwrite")
    assert "complete, 4 drawn now" in again.communicate()[0]
    drawn(model, competition, tmp_path / "a")


def test_a_folder_of_someone_elses_images_is_left_alone(tiny_competition, model_file, tmp_path, read_all) -> None:
    competition = tiny_competition(4)
    (tmp_path / "a").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "a" / "0_main.png")
    before = read_all(tmp_path / "a")
    with pytest.raises(UsageError, match="without a manifest"):
        drawn(model_file(), competition, tmp_path / "a")
    assert read_all(tmp_path / "a") == before


def test_another_size_is_resized_with_lanczos_and_written_down(tiny_competition, model_file, tmp_path, pixels) -> None:
    competition = tiny_competition(4)
    model = model_file("Model.size = 40\n")
    drawn(model, competition, tmp_path / "a", limit=1)
    assert drawn(model, competition, tmp_path / "a").complete
    manifest = Submission.open(tmp_path / "a", competition).manifest
    assert manifest is not None
    assert manifest.resizing == "Pillow Lanczos, 40x40 to 64x64"
    generator = registry.load(model, competition)
    prompt = competition.prompts[2]
    seed = image_seed(0, prompt.image_name)
    small = generator.generate([prompt.text] * 4, [seed] * 4)[0]
    expected = Image.fromarray(small).resize((64, 64), Image.Resampling.LANCZOS)
    assert np.array_equal(pixels(tmp_path / "a" / prompt.image_name), np.asarray(expected))


def test_the_references_decide_the_size_where_the_competition_names_none(
    tiny_competition, model_file, tmp_path, pixels
) -> None:
    competition = tiny_competition(4)
    file = competition.root / "competition.toml"
    file.write_text(file.read_text().replace("image_size = 64\n", ""))
    competition = Competition.load(file)
    assert drawn(model_file("Model.size = 40\n"), competition, tmp_path / "a").complete
    assert Submission.open(tmp_path / "a", competition).manifest.resizing == "Pillow Lanczos, 40x40 to 64x64"
    path = competition.root / "references" / "3_main.png"
    Image.open(path).resize((96, 72)).save(path)
    competition = Competition.load(file)
    assert drawn(model_file("Model.size = 40\n"), competition, tmp_path / "b").complete
    assert (
        Submission.open(tmp_path / "b", competition).manifest.resizing
        == "Pillow Lanczos, 40x40 to its reference's size"
    )
    assert pixels(tmp_path / "b" / "3_main.png").shape == (72, 96, 3)
    assert pixels(tmp_path / "b" / "2_main.png").shape == (64, 64, 3)


def test_sizes_that_change_on_the_way_are_refused(tiny_competition, model_file, tmp_path) -> None:
    body = "calls = []\nModel.generate = lambda *_: calls.append(0) or np.zeros((4, 31 + len(calls), 32, 3), np.uint8)"
    with pytest.raises(GeneratorError, match="32x33 to 64x64, earlier Pillow Lanczos, 32x32 to 64x64"):
        drawn(model_file(body), tiny_competition(12), tmp_path / "a")


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("[np.zeros((64, 64, 3), np.uint8)] * 4", "returned a list"),
        ("None", "returned None"),
        ("np.zeros((4, 64, 64, 3))", r"values of type float64[\s\S]*\* 255"),
        ("np.zeros((4, 3, 64, 64), np.uint8)", r"shape \(4, 3, 64, 64\)[\s\S]*transpose"),
        ("np.zeros((64, 64, 3), np.uint8)", r"shape \(64, 64, 3\)"),
        ("np.zeros((4, 64, 64, 4), np.uint8)", r"shape \(4, 64, 64, 4\)"),
        ("np.zeros((4, 64, 0, 3), np.uint8)", r"shape \(4, 64, 0, 3\)"),
        ("np.zeros((3, 64, 64, 3), np.uint8)", "3 images for 4 prompts"),
        ("__import__('torch').zeros(4, 64, 64, 3)", r"torch.Tensor[\s\S]*cpu\(\).numpy\(\)"),
    ],
)
def test_what_is_no_image_is_refused_with_a_hint(tiny_competition, model_file, tmp_path, returned, said) -> None:
    model = model_file(f"Model.generate = lambda self, prompts, seeds: {returned}\n")
    with pytest.raises(GeneratorError, match=said) as caught:
        drawn(model, tiny_competition(2), tmp_path / "a")
    assert "my_model.py:Model failed on 0_main.png" in str(caught.value)
    assert not (tmp_path / "a").exists()


RAISES = """
whole = Model.generate
def generate(self, prompts, seeds):
    if any("number 6." in prompt for prompt in prompts):
        raise ZeroDivisionError("no red left")
    return whole(self, prompts, seeds)
Model.generate = generate
"""


def test_a_generator_that_raises_keeps_what_was_drawn(tiny_competition, model_file, tmp_path, command) -> None:
    competition, model = tiny_competition(8), model_file(RAISES)
    process = command(model, "--competition", competition.root, "--out", tmp_path / "a")
    _, errors = process.communicate()
    assert process.returncode == 4
    assert "my_model.py:Model failed on 4_main.png (a batch of 4, to 7_main.png)" in errors
    assert "ZeroDivisionError: no red left" in errors
    assert "my_model.py, line" in errors
    assert "4 images are kept" in errors
    assert "Traceback" not in errors
    assert "bug in drawoff" not in errors
    assert len(list((tmp_path / "a").glob("*.png"))) == 4


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"shard": (3, 3)}, r"no shard 3/3: .*\(N - 1\)/N"),
        ({"shard": (0, 0)}, "no shard 0/0"),
        ({"seed": -1}, "seed -1"),
        ({"seed": 2**63}, "seed"),
        ({"limit": 0}, "limit 0"),
        ({"batch_size": 0}, "batch size 0"),
    ],
)
def test_numbers_out_of_range_are_wrong_usage(tiny_competition, model_file, tmp_path, keys, said) -> None:
    with pytest.raises(UsageError, match=said):
        drawn(model_file(), tiny_competition(2), tmp_path / "a", **keys)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("Model.batch_size = 0", "batch_size is 0"),
        ("Model.batch_size = '4'", "batch_size is '4'"),
        ("Model.settings = {'x': {1, 2}}", "settings"),
        ("Model.settings = {'x': float('nan')}", "settings"),
        ("Model.weights = {'x': 'abc'}", "weights"),
        ("Model.notes = 'one'", "notes"),
        ("Model.notes = ['two\\nlines']", "manifest"),
    ],
)
def test_attributes_that_do_not_fit_are_the_authors(tiny_competition, model_file, tmp_path, body, said) -> None:
    with pytest.raises(GeneratorError, match=said):
        drawn(model_file(body + "\n"), tiny_competition(2), tmp_path / "a")
