"""The host's own images: kept as links, beside other suffixes, or broken, which is said for all at once."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from PIL import Image

from submission import Competition, CompetitionError, Submission, SubmissionError
from submission.__main__ import main
from submission.errors import run


def _any_size(competition):
    file = competition.root / "competition.toml"
    file.write_text(file.read_text().replace("image_size = 64\n", ""))
    return Competition.load(file)


def test_links_are_followed_as_hub_cache_and_git_annex_keep_files(tiny_competition):
    competition = tiny_competition()
    before = competition.references()
    blobs = competition.root / "blobs"
    blobs.mkdir()
    for number, path in enumerate(sorted((competition.root / "references").iterdir())):
        path.rename(blobs / f"{number:064x}")
        path.symlink_to(f"../blobs/{number:064x}")
    assert competition.references().sha256 == before.sha256
    assert competition.references().shapes() == before.shapes()


def test_links_that_lead_nowhere_are_all_named(tiny_competition):
    competition = tiny_competition()
    for name in ("1_main.png", "2_main.png"):
        path = competition.root / "references" / name
        path.unlink()
        path.symlink_to("../.git/annex/objects/gone")
    with pytest.raises(CompetitionError, match="git annex get, dvc pull") as caught:
        competition.references()
    assert {problem.name for problem in caught.value.problems} == {"1_main.png", "2_main.png"}


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".PNG"])
@pytest.mark.parametrize("zipped", [False, True])
def test_another_suffix_is_found(tiny_competition, suffix, zipped):
    competition = tiny_competition()
    folder = competition.root / "references"
    for path in sorted(folder.iterdir()):
        kind = "PNG" if suffix == ".PNG" else "JPEG"
        Image.open(path).save(folder / f"{path.stem}{suffix}", kind)
        path.unlink()
    if zipped:
        with zipfile.ZipFile(competition.root / "references.zip", "w") as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, f"test/{path.name}")
        file = competition.root / "competition.toml"
        file.write_text(file.read_text().replace('"references"', '"references.zip"'))
        competition = Competition.load(file)
    references = competition.references()
    assert set(references.shapes()) == {prompt.image_name for prompt in competition.prompts}
    expected = np.asarray(Image.open(folder / f"3_main{suffix}"))
    assert np.array_equal(references.read("3_main.png"), expected)


def test_the_very_name_wins_and_two_others_are_a_question(tiny_competition):
    competition = tiny_competition()
    folder = competition.root / "references"
    Image.new("RGB", (64, 64)).save(folder / "0_main.jpg")
    assert competition.references().read("0_main.png").any()
    (folder / "1_main.png").rename(folder / "1_main.jpg")
    (folder / "1_main.jpeg").write_bytes((folder / "1_main.jpg").read_bytes())
    with pytest.raises(CompetitionError, match=r"1_main\.png: has several .* 1_main\.jpeg, 1_main\.jpg"):
        competition.references()


def _spoil(competition):
    folder = competition.root / "references"
    for name in ("0_main.png", "1_main.png"):
        Image.open(folder / name).convert("RGBA").save(folder / name)
    Image.open(folder / "2_main.png").resize((100, 80)).save(folder / "2_main.png")
    (folder / "3_main.png").write_bytes((folder / "3_main.png").read_bytes()[:100])
    return [f"{number}_main.png" for number in range(4)]


@pytest.mark.parametrize("command", ["data", "check"])
def test_every_bad_reference_is_named_before_participants_come(tiny_competition, tiny_submission, capsys, command):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    names = _spoil(competition)
    words = [command, *([str(folder)] if command == "check" else []), "-c", str(competition.root)]
    assert run(main, words) == 3
    said = capsys.readouterr().err
    assert "4 references are no image that can be compared with" in said
    assert all(name in said for name in names)
    for what in ("2 × has an alpha channel", "is 100×80 pixels, expected 64×64", "is cut short"):
        assert what in said


def test_problems_of_all_parts_are_told_together(tiny_competition, capsys):
    competition = tiny_competition()
    _spoil(competition)
    (competition.root / "attributes.json").write_text("[]")
    file = competition.root / "competition.toml"
    file.write_text(file.read_text().replace("image_size", 'attributes = "attributes.json"\nimage_size'))
    assert run(main, ["data", "-c", str(file)]) == 3
    said = capsys.readouterr().err
    assert "4 references are no image" in said
    assert "must be an object of objects" in said


def test_where_the_size_is_free_the_references_decide_it(tiny_competition, tiny_submission, capsys):
    competition = _any_size(tiny_competition())
    assert competition.size_of("0_main.png") == competition.common_size == (64, 64)
    folder = tiny_submission(competition)
    assert Submission.open(folder, competition).names
    (folder / "submission.json").unlink()
    for name in ("0_main.png", "1_main.png"):
        Image.open(folder / name).resize((48, 40)).save(folder / name)
    with pytest.raises(SubmissionError) as caught:
        Submission.open(folder, competition)
    whats = {problem.name: problem.what for problem in caught.value.problems}
    assert whats == dict.fromkeys(("0_main.png", "1_main.png"), "is 48×40 pixels, but its reference 64×64")
    assert run(main, ["check", str(folder), "-c", str(competition.root)]) == 3
    assert "but its reference 64×64" in capsys.readouterr().err


def test_references_of_several_sizes(tiny_competition):
    competition = tiny_competition()
    path = competition.root / "references" / "5_main.png"
    Image.open(path).resize((96, 72)).save(path)
    competition = _any_size(competition)
    assert competition.size_of("5_main.png") == (96, 72)
    assert competition.size_of("6_main.png") == (64, 64)
    assert competition.common_size is None


def test_references_elsewhere_are_said_to_be_so(tiny_competition, tiny_submission, capsys):
    competition = _any_size(tiny_competition())
    folder = tiny_submission(competition)
    (competition.root / "references").rename(competition.root / "elsewhere")
    assert run(main, ["check", str(folder), "-c", str(competition.root)]) == 0
    assert "the references are not on this machine: sizes were not compared" in capsys.readouterr().out
