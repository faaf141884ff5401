"""A submission is drawn by processes that get killed, restarted and run side by side: the bytes never show it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from submission import Manifest, Submission, SubmissionWriter
from submission.errors import UsageError
from submission.images import read_image

# Draws every name of its shard, as a generator would; each image depends on its seed only.
PAINTER = """
import sys
import numpy as np
from submission import Competition, Manifest, SubmissionWriter, image_seed
root, out, index, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
never_ends = "never-ends" in sys.argv
competition = Competition.load(root)
writer = SubmissionWriter(out, competition, Manifest(competition="tiny", model="noise", seed=3))
names = [prompt.image_name for prompt in competition.prompts][index::count]
print("begun", flush=True)  # also where only the last image is missing
for name in writer.missing(names):
    if never_ends and name == names[-1]:
        sys.stdin.read()  # however fast it draws, and however late it is killed
    rng = np.random.default_rng(image_seed(3, name))
    writer.write(name, rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    print(name, flush=True)
print("complete" if writer.finish() else "incomplete", flush=True)
"""


@pytest.fixture
def paint(start):
    def begin(competition, out, index=0, count=1, *words):
        command = [sys.executable, "-c", PAINTER, *map(str, (competition.root, out, index, count)), *words]
        return start(command, stdin=subprocess.PIPE, stderr=None, env={**os.environ, "PYTHONPATH": os.getcwd()})

    return begin


def _content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def _manifest(**changes):
    return Manifest(**{"competition": "tiny", "model": "noise", "seed": 3, **changes})


def test_killed_at_any_moment_and_started_again(tiny_competition, tmp_path, paint):
    competition = tiny_competition(n=150)
    whole = paint(competition, tmp_path / "whole")
    assert whole.communicate()[0].endswith("complete\n")
    rng = random.Random(0)
    for _ in range(8):
        process = paint(competition, tmp_path / "killed", 0, 1, "never-ends")
        assert process.stdout.readline() == "begun\n"
        time.sleep(rng.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        assert "complete\n" not in process.communicate()[0]
        for path in (tmp_path / "killed").glob("[!.]*.png"):
            read_image(path.read_bytes(), 64)  # whole, or it raises
        json.loads((tmp_path / "killed" / "submission.json").read_bytes())
    assert paint(competition, tmp_path / "killed").communicate()[0].endswith("complete\n")
    assert _content(tmp_path / "killed") == _content(tmp_path / "whole")
    Submission.open(tmp_path / "killed", competition)


def test_shards_side_by_side_give_the_same_bytes(tiny_competition, tmp_path, paint):
    competition = tiny_competition(n=30)
    paint(competition, tmp_path / "one").communicate()
    shards = [paint(competition, tmp_path / "three", index, 3) for index in range(3)]
    said = [shard.communicate()[0].splitlines()[-1] for shard in shards]
    assert "complete" in said
    assert _content(tmp_path / "three") == _content(tmp_path / "one")


def test_only_damaged_and_missing_images_are_drawn_again(tiny_competition, tiny_submission):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    manifest = Submission.open(folder, competition).manifest
    (folder / "1_main.png").unlink()
    (folder / "2_main.png").write_bytes((folder / "2_main.png").read_bytes()[:-1])
    (folder / "3_main.png").write_bytes((folder / "4_main.png").read_bytes())
    writer = SubmissionWriter(folder, competition, manifest)
    assert writer.missing() == ["1_main.png", "2_main.png", "3_main.png"]
    assert writer.missing(["5_main.png", "1_main.png"]) == ["1_main.png"]
    assert not writer.finish()


def test_unfinished_manifest_lists_no_images(tiny_competition, tmp_path):
    competition = tiny_competition()
    writer = SubmissionWriter(tmp_path / "out", competition, _manifest())
    writer.write("0_main.png", np.zeros((64, 64, 3), np.uint8))
    assert not writer.finish()
    assert json.loads((tmp_path / "out" / "submission.json").read_bytes())["images"] == {}


def test_other_settings_are_refused_by_name_and_overwritten_on_request(tiny_competition, tiny_submission):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    before = _content(folder)
    other = _manifest(model="blobs", seed=7, settings={"steps": 2})
    with pytest.raises(UsageError) as caught:
        SubmissionWriter(folder, competition, other)
    for said in ("seed: 1000 -> 7", "settings.steps: 1 -> 2", "--overwrite"):
        assert said in str(caught.value)
    assert _content(folder) == before
    writer = SubmissionWriter(folder, competition, other, overwrite=True)
    assert len(writer.missing()) == 8
    assert _content(folder).keys() == {"submission.json"}


def test_overwrite_with_equal_settings_draws_everything_again(tiny_competition, tiny_submission):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    manifest = Submission.open(folder, competition).manifest
    writer = SubmissionWriter(folder, competition, manifest, overwrite=True)
    assert len(writer.missing()) == 8
    writer.write("0_main.png", np.zeros((64, 64, 3), np.uint8))
    assert "0_main.png" not in writer.missing()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_other_things_is_left_alone(tiny_competition, tmp_path, overwrite):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years")
    with pytest.raises(UsageError, match=r"thesis\.tex"):
        SubmissionWriter(tmp_path / "home", tiny_competition(), _manifest(), overwrite=overwrite)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.tex"]


def test_images_without_a_manifest_are_not_mixed_with_ours(tiny_competition, tiny_submission):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    (folder / "submission.json").unlink()
    with pytest.raises(UsageError, match="without a manifest"):
        SubmissionWriter(folder, competition, _manifest())


def test_wrong_images_are_refused(tiny_competition, tmp_path):
    writer = SubmissionWriter(tmp_path / "out", tiny_competition(), _manifest())
    with pytest.raises(ValueError, match="no prompt names"):
        writer.write("../x.png", np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(ValueError, match="asks for"):
        writer.write("0_main.png", np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(ValueError, match="float32"):
        writer.write("0_main.png", np.zeros((64, 64, 3), np.float32))


def test_a_link_in_the_way_is_replaced_not_followed(tiny_competition, tmp_path):
    writer = SubmissionWriter(tmp_path / "out", tiny_competition(), _manifest())
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "out" / "0_main.png").symlink_to(tmp_path / "precious")
    assert "0_main.png" in writer.missing()
    writer.write("0_main.png", np.zeros((64, 64, 3), np.uint8))
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "out" / "0_main.png").is_symlink()
