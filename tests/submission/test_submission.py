"""What participants really hand in, and what hostile ones would: one pass names every problem."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from submission import Competition, Submission, SubmissionError, SubmissionWriter
from submission.__main__ import main
from submission.errors import run
from submission.images import ImageProblem, image_bytes


def _problems(path, competition):
    with pytest.raises(SubmissionError) as caught:
        Submission.open(path, competition)
    return {problem.name: problem.what for problem in caught.value.problems}, str(caught.value)


def test_a_drawn_submission_is_valid(tiny_competition, tiny_submission):
    competition = tiny_competition()
    submission = Submission.open(tiny_submission(competition), competition)
    assert submission.names == tuple(prompt.image_name for prompt in competition.prompts)
    assert submission.manifest.images.keys() == set(submission.names)
    assert not submission.problems
    assert not submission.notes


def test_a_bare_folder_of_images_is_valid_and_hashes_the_same(tiny_competition, tiny_submission):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    with_manifest = Submission.open(folder, competition).sha256
    (folder / "submission.json").unlink()
    (folder / ".DS_Store").write_bytes(b"macOS was here")
    (folder / ".0123.part").write_bytes(b"a killed writer was here")
    bare = Submission.open(folder, competition)
    assert bare.manifest is None
    assert bare.sha256 == with_manifest
    assert bare.notes == ["ignored what the system or a tool left: .DS_Store"]


LEFT_BEHIND = (
    ".ipynb_checkpoints/0_main-checkpoint.png", ".nfs000000000123abcd00000001", ".fuse_hidden0000000100000001",
    ".git/HEAD", ".gitkeep", ".gitignore", ".directory", ".localized", ".Spotlight-V100/x", ".Trash-1000/0_main.png",
    ".dvcignore", ".0_main.png.swp", ".0_main.png.aB3dEf", ".~lock.notes.csv#", ".dropbox.attr", ".cache/huggingface/x",
    ".vscode/x",
    "@eaDir/0_main.png/SYNOPHOTO_THUMB_M.png", "#recycle/x", "lost+found/x", "__pycache__/x", "__MACOSX/._0_main.png",
    "System Volume Information/x", "$RECYCLE.BIN/x", "Thumbs.db", "ehthumbs.db", "Desktop.ini", "Icon\r",
    "~$notes.docx", "0_main.png:Zone.Identifier", "0_main.png~",
    "@Recycle/x", "~syncthing~0_main.png.tmp", "CACHEDIR.TAG",
)  # fmt: skip


@pytest.mark.parametrize("left", LEFT_BEHIND)
def test_what_systems_and_tools_leave_is_ignored_with_a_note(tiny_competition, tiny_submission, tmp_path, left):
    competition = tiny_competition(n=2)
    folder = tiny_submission(competition)
    whole = Submission.open(folder, competition)
    (folder / left).parent.mkdir(parents=True, exist_ok=True)
    (folder / left).write_bytes(b"x")
    with zipfile.ZipFile(tmp_path / "zip.zip", "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, f"sub/{path.relative_to(folder)}")
    told = left.split("/")[0].replace("\r", r"\r")
    for path in (folder, tmp_path / "zip.zip"):
        again = Submission.open(path, competition)
        assert again.notes == [f"ignored what the system or a tool left: {told}"]
        assert again.sha256 == whole.sha256
    writer = SubmissionWriter(folder, competition, whole.manifest)  # a run that is resumed
    assert writer.missing() == []
    assert writer.finish()


@pytest.mark.parametrize("put", ["README.md", "metadata.csv", "grid-0000.png", "0_main (1).png", "0_main - Copy.png"])
def test_what_a_person_put_there_is_not(tiny_competition, tiny_submission, put):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    (folder / put).write_bytes(b"x")
    assert _problems(folder, competition)[0] == {put: "is not named by any prompt"}


def test_jpeg_under_png_names_is_noted(tiny_competition, tiny_submission, capsys):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    (folder / "submission.json").unlink()
    assert not Submission.open(folder, competition).image_notes
    for name in ("2_main.png", "5_main.png"):
        Image.open(folder / name).save(folder / name, "JPEG", quality=50)
    (note,) = Submission.open(folder, competition).image_notes
    assert note.startswith("2 of 8 images, such as 2_main.png, are JPEG files under names in .png")
    assert run(main, ["validate", str(folder), "-c", str(competition.root)]) == 0
    assert "2 of 8 images, such as 2_main.png, are JPEG files" in capsys.readouterr().out


def test_jpeg_under_its_own_name_is_not(tiny_competition, tiny_submission):
    competition = tiny_competition(n=2)
    folder = tiny_submission(competition)
    (folder / "submission.json").unlink()
    prompts = competition.root / "test.json"
    prompts.write_text(prompts.read_text().replace("0_main.png", "0_main.jpg"))
    Image.open(folder / "0_main.png").save(folder / "0_main.jpg")
    (folder / "0_main.png").unlink()
    assert not Submission.open(folder, Competition.load(competition.root)).image_notes


def test_sha256_is_what_it_says(tiny_competition, tiny_submission):
    competition = tiny_competition(n=2)
    folder = tiny_submission(competition)
    lines = ""
    for name in ("0_main.png", "1_main.png"):
        pixels = np.asarray(Image.open(folder / name)).tobytes()
        lines += f"{name}\0{hashlib.sha256(b'64x64:' + pixels).hexdigest()}\n"
    expected = hashlib.sha256(lines.encode()).hexdigest()
    assert Submission.open(folder, competition).sha256 == expected
    assert Submission.open(folder, competition, verify=False).sha256 == expected


def test_the_same_pixels_in_other_bytes_are_the_same_submission(tiny_competition, tiny_submission):
    competition = tiny_competition(n=4)
    folder = tiny_submission(competition)
    (folder / "submission.json").unlink()
    before = Submission.open(folder, competition).sha256
    first, second, third, fourth = (folder / name for name in Submission.open(folder, competition).names)
    first.write_bytes(first.read_bytes() + b"x")
    Image.open(second).save(second, compress_level=1)
    text = PngInfo()
    text.add_text("comment", "mine")
    Image.open(third).save(third, pnginfo=text)
    assert Submission.open(folder, competition).sha256 == before
    pixels = np.array(Image.open(fourth))
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(fourth)
    assert Submission.open(folder, competition).sha256 != before


def test_hashes_are_a_view_of_what_was_read(tiny_competition, tiny_submission):
    competition = tiny_competition(n=2)
    folder = tiny_submission(competition)
    submission = Submission.open(folder, competition, verify=False)
    hashes = submission.hashes
    assert not hashes
    submission.read("0_main.png")
    assert dict(hashes) == {"0_main.png": hashlib.sha256((folder / "0_main.png").read_bytes()).hexdigest()}
    with pytest.raises(TypeError):
        hashes["1_main.png"] = "another"


def test_all_problems_at_once(tiny_competition, tiny_submission):
    competition = tiny_competition(n=16)
    folder = tiny_submission(competition)
    (folder / "submission.json").unlink()
    red = Image.new("RGB", (64, 64), "red")
    (folder / "0_main.png").unlink()
    (folder / "holiday.png").write_bytes(image_bytes(np.asarray(red), "a.png"))
    red.resize((32, 32)).save(folder / "1_main.png")
    (folder / "2_main.png").write_bytes((folder / "2_main.png").read_bytes()[:-20])
    red.save(folder / "3_main.png", "GIF")
    Image.fromarray(np.full((64, 64), 40_000, np.uint16)).save(folder / "4_main.png")
    red.convert("RGBA").save(folder / "5_main.png")
    red.save(folder / "6_main.png", save_all=True, append_images=[Image.new("RGB", (64, 64))])
    (folder / "7_main.png").unlink()
    (folder / "7_main.png").symlink_to(folder / "8_main.png")
    (folder / "9_main.png").unlink()
    os.mkfifo(folder / "9_main.png")
    (folder / "10_main.png").rename(folder / "10_Main.png")
    (folder / "11_main.png").write_bytes(b"")
    (folder / "12_main.png").rename(folder / "12_main.jpg")
    (folder / "13_main.png").unlink()
    (folder / "13_main.png").mkdir()
    (folder / "nested").mkdir()
    (folder / "evil\u202egnp.png\n").write_bytes(b"x")
    found, text = _problems(folder, competition)
    expected = {
        "0_main.png": "is missing",
        "holiday.png": "is not named by any prompt",
        "1_main.png": "is 32×32 pixels",
        "2_main.png": "cut short",
        "3_main.png": "neither PNG nor JPEG",
        "4_main.png": "16 bits",
        "5_main.png": "RGBA",
        "6_main.png": "animation",
        "7_main.png": "symbolic link",
        "9_main.png": "not a regular file",
        "10_Main.png": "differs in case",
        "11_main.png": "empty",
        "12_main.jpg": "should be a .png",
        "13_main.png": "is a folder",
        "nested": "is a folder",
        "evil\u202egnp.png\n": "is not named by any prompt",
    }
    assert found.keys() == expected.keys()
    for name, what in expected.items():
        assert what in found[name]
    for name in expected:
        assert name in text or name.startswith("evil")
    assert "\u202e" not in text
    assert r"evil\u202egnp.png\n" in text


def test_the_same_mistake_in_every_image_reads_as_one(tiny_competition, tiny_submission):
    competition = tiny_competition(n=60)
    folder = tiny_submission(competition)
    (folder / "submission.json").unlink()
    for prompt in competition.prompts:
        Image.new("RGB", (32, 32)).save(folder / prompt.image_name)
    _, text = _problems(folder, competition)
    assert "60 problems" in text
    assert "… and 40 more" in text
    assert len(text.splitlines()) < 30


def test_without_verify_problems_are_kept_for_the_scorer(tiny_competition, tiny_submission):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    (folder / "0_main.png").unlink()
    (folder / "1_main.png").write_bytes(b"GIF89a")
    submission = Submission.open(folder, competition, verify=False)
    assert [problem.name for problem in submission.problems] == ["0_main.png"]
    with pytest.raises(ImageProblem) as caught:
        submission.read("1_main.png")
    with pytest.raises(SubmissionError) as raised:
        submission.raise_if([caught.value.problem("1_main.png")])
    assert [problem.name for problem in raised.value.problems] == ["0_main.png", "1_main.png"]


def test_bytes_that_change_while_scoring_are_noticed(tiny_competition, tiny_submission):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    (folder / "submission.json").unlink()
    submission = Submission.open(folder, competition)
    (folder / "0_main.png").write_bytes((folder / "1_main.png").read_bytes())
    with pytest.raises(ImageProblem, match="changed while"):
        submission.read("0_main.png")


def test_hard_links_are_files_like_others(tiny_competition, tiny_submission):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    os.link(folder / "0_main.png", folder.parent / "kept.png")
    Submission.open(folder, competition)


def test_a_manifest_that_lies_is_found(tiny_competition, tiny_submission):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    (folder / "0_main.png").write_bytes((folder / "1_main.png").read_bytes())
    found, _ = _problems(folder, competition)
    assert "other bytes than submission.json lists" in found["0_main.png"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"competition": "other"}, "was drawn for the competition 'other'"),
        ({"format": 2}, "format"),
        ({"seed": -1}, "seed"),
        ({"seed": "0"}, "seed"),
        ({"surprise": 1}, "surprise"),
        ({"model": "a\u202eb"}, "control or invisible"),
        ({"weights": {"unet": "abc"}}, "weights.unet"),
        ({"images": {"../../x.png": "0" * 64}}, "lists other images"),
    ],
)
def test_a_hostile_manifest_is_refused(tiny_competition, tiny_submission, change, said):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    file = folder / "submission.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    found, _ = _problems(folder, competition)
    assert said in found["submission.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"seed": NaN}',
        "{" * 50_000,
        '{"seed": 1, "seed": 2}',
        '{"settings": ' + "[" * 5000 + "]" * 5000 + "}",
    ],
)
def test_a_manifest_that_is_none_is_refused(tiny_competition, tiny_submission, text):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    (folder / "submission.json").write_text(text)
    found, _ = _problems(folder, competition)
    assert "submission.json" in found


def test_a_path_that_is_not_there(tiny_competition, tmp_path):
    with pytest.raises(SubmissionError, match="is not there"):
        Submission.open(tmp_path / "nowhere", tiny_competition())


def test_a_file_that_is_no_zip(tiny_competition, tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(SubmissionError, match="not a zip file"):
        Submission.open(tmp_path / "a.zip", tiny_competition())
