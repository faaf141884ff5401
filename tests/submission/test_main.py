from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from submission import MissingPart, Submission
from submission.__main__ import main
from submission.errors import run
from submission.sheet import TILE, draw_sheet, spread


def _run(*words):
    return run(main, [str(word) for word in words])


@pytest.mark.parametrize("word", ["validate", "check"])  # the second is its old name
def test_validate_says_ok(tiny_competition, tiny_submission, capsys, word):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    assert _run(word, folder, "--competition", competition.root) == 0
    out = capsys.readouterr().out
    assert out.startswith("ok: ")
    assert Submission.open(folder, competition).sha256 in out
    assert max(map(len, out.replace(str(folder), "").splitlines())) <= 80


def test_check_lists_problems_and_exits_3(tiny_competition, tiny_submission, capsys):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    (folder / "0_main.png").unlink()
    (folder / "1_main.png").write_bytes(b"no image")
    assert _run("check", folder, "--competition", competition.root) == 3
    captured = capsys.readouterr()
    assert "0_main.png: is missing" in captured.err
    assert "1_main.png" in captured.err
    assert captured.out == ""


def test_a_bad_competition_exits_3(tiny_competition, tiny_submission, capsys):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    (competition.root / "competition.toml").write_text("[competition]\nnam = 3\n")
    assert _run("check", folder, "-c", competition.root) == 3
    assert "competition.nam" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["check"], ["draw"], ["check", "x"], ["sheet", "x", "-c", "y", "--n", "0"]])
def test_wrong_usage_exits_2(words, capsys):
    assert _run(*words) == 2
    assert "usage:" in capsys.readouterr().err


def test_pack_then_check(tiny_competition, tiny_submission, tmp_path, capsys):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    archive = tmp_path / "submission.zip"
    assert _run("pack", folder, "--out", archive) == 0
    assert "packed 8 images" in capsys.readouterr().out
    assert _run("check", archive, "-c", competition.root) == 0
    assert _run("pack", folder, "--out", archive) == 2
    assert _run("pack", folder, "--out", archive, "--overwrite", "-c", competition.root) == 0
    (folder / "3_main.png").unlink()
    assert _run("pack", folder, "--out", archive, "--overwrite") == 3
    assert "3_main.png" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["pack", "sheet"])
def test_results_are_not_written_into_the_submission(tiny_competition, tiny_submission, command, capsys):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    assert _run(command, folder, "--out", folder / "out.png", "-c", competition.root) == 2
    assert "lies in the submission" in capsys.readouterr().err
    assert _run(command, folder, "--out", folder.parent / "no" / "out.png", "-c", competition.root) == 2
    assert _run("check", folder, "-c", competition.root) == 0


def test_the_folder_around_the_images_is_recognised(tiny_competition, tiny_submission, tmp_path, capsys):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    (tmp_path / "around").mkdir()
    folder.rename(tmp_path / "around" / "images")
    assert _run("check", tmp_path / "around", "-c", competition.root) == 3
    assert f"give {tmp_path / 'around' / 'images'} instead" in capsys.readouterr().err


def test_sheet_of_an_incomplete_submission(tiny_competition, tiny_submission, tmp_path, capsys):
    competition = tiny_competition(n=12)
    folder = tiny_submission(competition)
    (folder / "0_main.png").unlink()
    (folder / "1_main.png").write_bytes(b"no image")
    assert _run("sheet", folder, "-c", competition.root, "--out", tmp_path / "sheet.png", "--n", 9) == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.mode == "RGB"
        assert sheet.width > 3 * 2 * TILE
    assert "has problems" in capsys.readouterr().out


def test_a_sheet_shows_the_image_left_and_its_own_reference_right(tiny_competition, tiny_submission):
    competition = tiny_competition(n=1)
    submission = Submission.open(tiny_submission(competition), competition)
    page = np.asarray(draw_sheet(submission)).astype(int)
    name = submission.names[0]
    for picture in (submission.read(name)[1], competition.references().read(name)):
        colour = picture[32, 32].astype(int)
        near = np.abs(page - colour).max(-1) < 3
        assert near.sum() > 500
    drawn = np.abs(page - submission.read(name)[1][32, 32].astype(int)).max(-1) < 3
    real = np.abs(page - competition.references().read(name)[32, 32].astype(int)).max(-1) < 3
    assert np.nonzero(drawn)[1].mean() < np.nonzero(real)[1].mean()


def test_spread_is_even_and_complete():
    assert spread(1063, 64)[0] == 0
    assert len(set(spread(1063, 64))) == 64
    assert max(np.diff(spread(1063, 64))) - min(np.diff(spread(1063, 64))) <= 1
    assert spread(5, 64) == [0, 1, 2, 3, 4]


def _raising(error):
    def fail(argv):
        raise error

    return fail


def test_a_missing_part_exits_4(capsys):
    error = MissingPart("clip.safetensors", looked_for="weights/", get_it="make train")
    assert run(_raising(error)) == 4
    assert capsys.readouterr().err == "missing: clip.safetensors\n  looked for: weights/\n  get it:     make train\n"


def test_a_bug_is_told_as_one_and_its_traceback_goes_to_a_file(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("DRAWOFF_CACHE", str(tmp_path))
    monkeypatch.delenv("DRAWOFF_TRACEBACK", raising=False)
    assert run(_raising(KeyError("seed"))) == 4
    said = capsys.readouterr().err
    assert "this is a bug in drawoff: KeyError: 'seed'" in said
    assert "Traceback" not in said
    (file,) = tmp_path.iterdir()
    assert str(file) in said
    assert "Traceback" in file.read_text()


@pytest.mark.parametrize("command", [["pack", "--overwrite"], ["sheet"]])
@pytest.mark.parametrize("name", ["competition.toml", "test.json", "references/0_main.png"])
def test_no_output_replaces_the_competition(tiny_competition, tiny_submission, command, name, capsys):
    competition = tiny_competition(2)
    before = (competition.root / name).read_bytes()
    words = [command[0], tiny_submission(competition), *command[1:], "-c", competition.root]
    assert _run(*words, "--out", competition.root / name) == 2
    assert "the competition's" in capsys.readouterr().err
    assert (competition.root / name).read_bytes() == before


def test_pack_knows_a_manifest_from_an_image(tiny_competition, tiny_submission, tmp_path, monkeypatch, capsys):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    with (folder / "submission.json").open("a") as file:
        file.write(" " * 2**20)  # an image of 64 pixels has no more bytes
    assert _run("pack", folder, "--out", tmp_path / "a.zip", "-c", competition.root) == 0
    assert Submission.open(tmp_path / "a.zip", competition).manifest is not None
    monkeypatch.setattr("submission.__main__.max_file_bytes", lambda _: 9)
    assert _run("pack", folder, "--out", tmp_path / "b.zip") == 3
    assert "0_main.png: is larger than 9 bytes" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="their file names are Unicode")
def test_pack_refuses_a_name_that_is_no_text(tiny_competition, tiny_submission, tmp_path, capsys):
    folder = tiny_submission(tiny_competition())
    (folder / os.fsdecode(b"\xff.png")).write_bytes(b"x")
    assert _run("pack", folder, "--out", tmp_path / "a.zip") == 3
    assert "\\udcff.png: its name is not UTF-8, as names in a zip are" in capsys.readouterr().err
    assert not (tmp_path / "a.zip").exists()


def test_tracebacks_on_request(monkeypatch):
    monkeypatch.setenv("DRAWOFF_TRACEBACK", "1")
    with pytest.raises(KeyError):
        run(_raising(KeyError("seed")))


def test_interrupts_and_files_that_cannot_be_written(capsys):
    assert run(_raising(KeyboardInterrupt())) == 130
    assert run(_raising(OSError(28, "No space left on device", "sheet.png"))) == 4
    assert "sheet.png: No space left on device" in capsys.readouterr().err


def test_the_contract_needs_no_torch():
    heavy = "('torch', 'scipy', 'pandas', 'diffusers')"
    code = f"import sys, submission, submission.__main__; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_ascii_terminal_gets_an_answer(tiny_competition, tiny_submission):
    competition = tiny_competition()
    words = [
        sys.executable,
        "-m",
        "submission",
        "check",
        str(tiny_submission(competition)),
        "-c",
        str(competition.root),
    ]
    done = subprocess.run(words, capture_output=True, check=False, env={"PYTHONIOENCODING": "ascii", "PATH": ""})
    assert done.returncode == 0
    assert done.stdout.startswith(b"ok: ")


def test_data_says_what_is_here_and_how_to_get_the_rest(tiny_competition, tmp_path, monkeypatch, capsys):
    assert _run("data", "-c", tiny_competition().root) == 0
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["here", "prompts"],
        ["here", "references"],
        ["8", "prompts"],
    ]
    monkeypatch.setenv("DRAWOFF_DATA", str(tmp_path))
    (tmp_path / "brainrot").mkdir()
    (tmp_path / "brainrot" / "generate.csv").write_text("id,animal,object,prompt\n")
    assert _run("data", "-c", "brainrot") == 4
    said = capsys.readouterr()
    assert [line.split()[0] for line in said.out.splitlines()] == ["here", "not", "not"]
    assert f"generate.csv, test_mu.npy and test_sigma.npy into {tmp_path / 'brainrot'}" in said.err


def test_a_small_sheet_is_the_same_page_in_fewer_colours(tiny_competition, tiny_submission, tmp_path):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    whole, small = tmp_path / "whole.png", tmp_path / "small.png"
    assert _run("sheet", folder, "--out", whole, "-c", competition.root) == 0
    assert _run("sheet", folder, "--out", small, "-c", competition.root, "--small") == 0
    with Image.open(whole) as page, Image.open(small) as few:
        assert few.size == page.size
        assert few.mode == "P"
    assert small.stat().st_size < whole.stat().st_size
