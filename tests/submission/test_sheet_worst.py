"""The scorer's per-image CSV, read back for a sheet of the worst images."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest
from PIL import Image

from scorer.per_image import write_per_image
from submission import Submission, sheet
from submission.__main__ import main
from submission.errors import UsageError, run
from submission.sheet import worst

NAMES = ["=1.png", "b.png", "c.png", "'d.png"]


@pytest.fixture
def file(tmp_path):
    columns = {"clip_t": [0.3, 0.1, 0.2, 0.1], "kid": [0.3, 0.1, 0.2, 0.1], "body": [0, 1, 1, 0]}
    write_per_image(tmp_path / "images.csv", NAMES, ["=cmd|' /C calc'!A0", "a, b", "-x", "@y"], columns)
    return tmp_path / "images.csv"


def test_no_cell_is_a_formula_and_names_come_back(file):
    lines = file.read_text().splitlines()
    assert lines[0] == "image_name,prompt,clip_t,kid,body"
    assert lines[1] == "'=1.png,'=cmd|' /C calc'!A0,0.3,0.3,0"
    assert lines[3] == "c.png,'-x,0.2,0.2,1"
    assert {name for name, _ in worst(file, "clip_t", 9, NAMES).images} == set(NAMES)


def test_the_worst_come_first_and_equal_ones_in_prompt_order(file):
    assert worst(file, "clip_t", 3, NAMES).images == (("b.png", 0.1), ("'d.png", 0.1), ("c.png", 0.2))
    assert [name for name, _ in worst(file, "kid", 2, NAMES).images] == ["=1.png", "c.png"]  # lower is better
    assert [name for name, _ in worst(file, "body", 2, NAMES).images] == ["=1.png", "'d.png"]
    assert worst(file, "clip_t", 1, NAMES).metric.label == "CLIP-T"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image_name,clip_t\nb.png,nan\n", "line 2: clip_t is 'nan', not a number"),
        ("image_name,clip_t\nb.png\n", "line 2: has 1 cells"),
        ("name,clip_t\nb.png,1\n", "is not a per-image CSV"),
        ("image_name,clip_i\nb.png,1\n", "has no column 'clip_t'; it has: clip_i"),
        ("image_name,clip_t\n", "has the values of no image"),
        ("image_name,clip_t\nz.png,1\n", "of other images than the prompts name, such as 'z.png'"),
    ],
)
def test_other_files_are_refused(tmp_path, text, said):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(UsageError, match=re.escape(said)):
        worst(tmp_path / "x.csv", "clip_t", 2, NAMES)


def _page(*words):
    assert run(main, ["sheet", *map(str, words)]) == 0
    return np.asarray(Image.open(words[words.index("--out") + 1]).convert("RGB")).astype(int)


def test_a_sheet_of_the_worst_shows_them_and_no_others(tiny_competition, tiny_submission, tmp_path, capsys):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    names = [prompt.image_name for prompt in competition.prompts]
    values = [0.5, 0.4, 0.9, 0.1, 0.8, 0.7, 0.6, 0.2]
    write_per_image(tmp_path / "drawn.per-image.csv", names, names, {"clip_t": values})
    words = (folder, "-c", competition.root, "--out", tmp_path / "worst.png", "--no-references")
    page = _page(*words, "--worst", "clip_t", 2)
    submission = Submission.open(folder, competition)
    places = {}
    for name in names:
        colour = submission.read(name)[1][32, 32].astype(int)
        found = np.nonzero((np.abs(page - colour).max(-1) < 2)[104:])
        places[name] = found[1].mean() if len(found[1]) > 500 else None
    assert [name for name in places if places[name] is not None] == ["3_main.png", "7_main.png"]
    assert places["3_main.png"] < places["7_main.png"]
    # The values may lie anywhere; those of other images, or of an older drawing, are not taken for these.
    (tmp_path / "drawn.per-image.csv").rename(tmp_path / "v.csv")
    assert run(main, ["sheet", *map(str, words), "--worst", "clip_t", "2"]) == 2
    assert "give --per-image FILE" in capsys.readouterr().err
    assert (_page(*words, "--worst", "clip_t", 2, "--per-image", tmp_path / "v.csv") == page).all()
    (tmp_path / "v.csv").rename(tmp_path / "drawn.per-image.csv")
    os.utime(tmp_path / "drawn.per-image.csv", (0, 0))
    assert run(main, ["sheet", *map(str, words), "--worst", "clip_t", "2"]) == 2
    assert "is older than the images" in capsys.readouterr().err


@pytest.mark.parametrize(("typed", "name"), [(".", "drawn"), ("../drawn", "drawn"), ("../link", "link")])
def test_the_values_are_looked_for_beside_what_was_typed(
    tiny_competition, tiny_submission, tmp_path, monkeypatch, typed, name
):
    competition = tiny_competition(2)
    monkeypatch.chdir(tiny_submission(competition))
    (tmp_path / "link").symlink_to("drawn")
    names = [prompt.image_name for prompt in competition.prompts]
    write_per_image(tmp_path / f"{name}.per-image.csv", names, names, {"clip_t": [0.5, 0.4]})
    _page(typed, "-c", competition.root, "--out", "../worst.png", "--worst", "clip_t", 1)


@pytest.mark.parametrize("extra", [["--worst", "clip_t", "0"], ["--worst", "clip_t", "x"], ["--per-image", "x.csv"]])
def test_wrong_words_exit_2(tiny_competition, tiny_submission, tmp_path, extra):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    words = ["sheet", str(folder), "-c", str(competition.root), "--out", str(tmp_path / "x.png"), *extra]
    assert run(main, words) == 2


def test_a_sheet_is_titled_by_the_name_that_is_given(tiny_competition, tiny_submission, monkeypatch):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    titles = []
    monkeypatch.setattr(sheet, "cut", lambda text, letters, width: titles.append(text) or text)
    for name in ("Ünal’s blobs", None, " "):
        sheet.draw_sheet(Submission.open(folder, competition), n=2, name=name)
    (folder / "submission.json").unlink()
    sheet.draw_sheet(Submission.open(folder, competition), n=2)
    assert titles[::2] == ["Ünal’s blobs", "blobs", "blobs", "drawn"]
    assert "blobs · seed 1000" in titles[1]  # what drew it is still said
