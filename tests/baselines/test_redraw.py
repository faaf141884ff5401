"""`--from submission.json`: the same images again, and a clear word where something is not the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from baselines import redraw
from baselines.__main__ import main
from submission import Competition
from submission.errors import SubmissionError, UsageError

STEPS = """
class Model(Model):
    def __init__(self, steps=4):
        self.settings = {"steps": steps}
        self.weights = {"net": WEIGHTS}
    def one(self, text):
        return super().one(f"{text}{self.settings}")
WEIGHTS = "a" * 64
"""


@pytest.fixture
def drawn(tiny_competition, model_file, tmp_path) -> tuple[str, Competition, Path]:
    """A participant's model with settings of its own, its competition, and what it drew."""
    competition, model = tiny_competition(6), model_file(STEPS)
    arguments = [model, "--competition", str(competition.root), "--out", str(tmp_path / "first")]
    assert main([*arguments, "--seed", "7", "--steps", "9", "--batch-size", "2"]) == 0
    return model, competition, tmp_path / "first"


def test_the_same_bytes_come_again(drawn, tmp_path, read_all, capsys) -> None:
    model, competition, first = drawn
    where = ["--competition", str(competition.root), "--out", str(tmp_path / "again")]
    assert main([model, "--from", str(first / "submission.json"), *where]) == 0
    assert "all 6 images have the bytes that the manifest lists" in capsys.readouterr().out
    assert read_all(tmp_path / "again") == read_all(first)


def test_a_manifest_is_found_in_a_folder_and_in_a_zip(drawn, tmp_path) -> None:
    shutil.make_archive(str(tmp_path / "packed"), "zip", drawn[2])
    manifests = [redraw.read(path) for path in (drawn[2], drawn[2] / "submission.json", tmp_path / "packed.zip")]
    assert manifests[0] == manifests[1] == manifests[2]
    assert manifests[0].seed == 7


def test_it_goes_on_where_it_was_and_never_into_the_first_drawing(drawn, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("submission.paths.submissions_home", lambda: tmp_path / "home")
    model, competition, first = drawn
    arguments = [model, "--from", str(first), "--competition", str(competition.root)]
    assert main([*arguments, "--limit", "2"]) == 0
    assert "not all images are drawn yet; these 2 have the bytes" in capsys.readouterr().out
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert str(tmp_path / "home/tiny/my_model-Model-seed7-again") in said
    assert "complete, 4 drawn now" in said


def test_images_that_differ_are_told(drawn, tmp_path, capsys) -> None:
    model, competition, first = drawn
    manifest = json.loads((first / "submission.json").read_text())
    manifest["images"]["3_main.png"] = "0" * 64
    manifest["versions"]["numpy"] = "1.0"
    (tmp_path / "m.json").write_text(json.dumps(manifest))
    where = ["--competition", str(competition.root), "--out", str(tmp_path / "again")]
    assert main([model, "--from", str(tmp_path / "m.json"), *where, "--limit", "3"]) == 0  # the fourth is another one
    assert "these 3 have the bytes" in capsys.readouterr().out
    assert main([model, "--from", str(tmp_path / "m.json"), *where]) == 3
    said = capsys.readouterr().out
    assert "1 of 6 images have other bytes, such as 3_main.png" in said
    assert "versions.numpy: '1.0' -> " in said


def test_another_file_is_refused_before_it_runs(drawn, tmp_path) -> None:
    model, competition, first = drawn
    Path(model.split(":")[0]).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(UsageError, match=r"my_model\.py is not the file that drew it"):
        main([model, "--from", str(first), "--competition", str(competition.root)])
    assert not (tmp_path / "ran").exists()


def test_a_file_that_the_user_did_not_name_is_not_looked_for(drawn, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)  # where a file of that name lies
    with pytest.raises(UsageError, match=r"my_model\.py:Model drew it: say where that file is"):
        main(["--from", str(drawn[2]), "--competition", str(drawn[1].root)])


def changed(drawn, tmp_path: Path, **changes: Any) -> Path:
    manifest = json.loads((drawn[2] / "submission.json").read_text())
    requested = changes.pop("requested", {})
    manifest["settings"].update(changes.pop("settings", {}))
    manifest["settings"]["requested"].update(requested)
    manifest["weights"].update(changes.pop("weights", {}))
    (tmp_path / "changed.json").write_text(json.dumps(manifest | changes))
    return tmp_path / "changed.json"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weights": {"net": "b" * 64}}, "weights.net: the file changed"),
        ({"weights": {"old": "b" * 64}}, "weights.old: the file is no longer used"),
        ({"settings": {"steps": 5}}, "settings.steps: 5 -> 9"),
        ({"settings": {"batch_size": 3}}, "settings.batch_size: 3 -> 2"),
        ({"settings": {"device": 1}}, "device is no text: 1"),
        ({"requested": {"lora": "x"}}, "options that are not known here: lora"),
        ({"requested": {"guide": "noised"}}, "takes no --guide"),
        ({"requested": {"steps": "9"}}, "--steps is '9'"),
        ({"requested": {"batch_size": True}}, "batch size is no number: True"),
        ({"requested": {"weights": "/etc"}}, "say where they are with --weights"),
        ({"requested": {"weights": ["x"]}}, "say where they are with --weights"),
        ({"model": "noise"}, "noise drew it, not my_model.py:Model"),
        ({"model": "no such model"}, "no such model drew it, not my_model.py:Model"),
        ({"competition": "elsewhere"}, "drawn for the competition elsewhere, not for tiny"),
        ({"images": {"x.png": "0" * 64}}, "another list of prompts"),
    ],
)
def test_what_differs_is_said_before_anything_is_drawn(drawn, tmp_path, changes, said) -> None:
    path = changed(drawn, tmp_path, **changes)
    with pytest.raises(UsageError) as caught:
        main([drawn[0], "--from", str(path), "--competition", str(drawn[1].root), "--out", str(tmp_path / "again")])
    assert said in str(caught.value)
    assert not (tmp_path / "again").exists()


def test_a_competition_that_is_not_shipped_has_to_be_named(drawn) -> None:
    with pytest.raises(UsageError, match=r"drawn for tiny, which is not shipped.*--competition"):
        redraw.request(redraw.read(drawn[2]), drawn[0])


@pytest.mark.parametrize("option", ["--seed=0", "--steps=9", "--batch-size=2"])
def test_settings_are_the_manifests(drawn, option: str) -> None:
    with pytest.raises(UsageError, match=f"leave out {option.split('=')[0]}"):
        main([drawn[0], "--from", str(drawn[2]), option])


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": 1, "format": 1}', "\x00"])
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "submission.json").write_text(text)
    for path in (tmp_path, tmp_path / "submission.json", tmp_path / "nothing.json"):
        with pytest.raises(SubmissionError):
            redraw.read(path)


def test_a_shipped_model_needs_no_other_word(tmp_path, capsys) -> None:
    out = ["--out", str(tmp_path / "a")]
    assert main(["noise", "--limit", "3", "--seed", "2", *out]) == 0
    assert main(["--from", str(tmp_path / "a"), "--limit", "3", "--out", str(tmp_path / "b")]) == 0
    assert "the manifest lists no images to compare with" in capsys.readouterr().out
    for name in ("0_attack1.png", "0_dead.png", "0_hit1.png"):
        if (tmp_path / "a" / name).exists():
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(
        path.name for path in (tmp_path / "b").iterdir()
    )
