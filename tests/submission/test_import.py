"""Pictures as other tools leave them become a valid submission, or are refused with every problem at once."""

from __future__ import annotations

import csv
import io
import zipfile

import numpy as np
import pytest
from hostile_inputs.case import saved
from PIL import Image

from submission import Competition, Submission, SubmissionError
from submission.__main__ import main
from submission.errors import UsageError, run
from submission.images import read_image
from submission.import_submission import import_submission


@pytest.fixture
def pictures(tiny_competition, tiny_submission):
    """`pictures(n)`: a competition, and the good images of a submission to it by name."""

    def make(n=8):
        competition = tiny_competition(n)
        folder = tiny_submission(competition)
        return competition, {name: (folder / name).read_bytes() for name in Submission.open(folder, competition).names}

    return make


def _folder(tmp_path, files, name="elsewhere"):
    (tmp_path / name).mkdir()
    for file, data in files.items():
        (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / file).write_bytes(data)
    return tmp_path / name


def _picture(seed=0, size=(64, 64)):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def _imports(tmp_path, competition, source, expected, **options):
    summary = import_submission(source, competition, tmp_path / "out", **options)
    submission = Submission.open(tmp_path / "out", competition)
    for name, data in expected.items():
        assert np.array_equal(submission.read(name)[1], read_image(data, 64)), name
    return summary


def test_valid_images_keep_their_bytes(pictures, tmp_path):
    competition, good = pictures()
    summary = import_submission(_folder(tmp_path, good), competition, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == good
    assert summary.lines() == ["matched by their names", "8 kept as they are"]


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    "rename",
    [
        lambda number, stem: stem,  # without a suffix
        lambda number, stem: f"{stem.upper()}.PNG",
        lambda number, stem: f"{number:05d}.png",
        lambda number, stem: f"img{number + 1}.png",
        lambda number, stem: f"{number:05d}-{(number * 7919) % 1000003}.png",  # a counter and a seed
        lambda number, stem: f"seed1234_{number}",
        lambda number, stem: f"run/samples/{stem}.png",
    ],
    ids=["no suffix", "capitals", "from 0", "from 1", "counter and seed", "seed and counter", "folders"],
)
def test_pictures_are_found_by_name_or_by_counting(pictures, tmp_path, rename, zipped):
    competition, good = pictures()
    files = {rename(number, name[:-4]): data for number, (name, data) in enumerate(good.items())}
    source = _folder(tmp_path, files)
    if zipped:
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            for path in sorted(source.rglob("*")):
                archive.write(path, path.relative_to(source))
        source = tmp_path / "x.zip"
    _imports(tmp_path, competition, source, good)


def test_numbers_are_equal_whatever_their_padding(pictures, tmp_path):
    competition, good = pictures(3)
    prompts = competition.root / "prompts.csv"
    prompts.write_text("id,prompt\n000010,a\n000002,b\n000007,c\n")
    for number, name in zip(("000010", "000002", "000007"), list(good), strict=True):
        (competition.root / "references" / name).rename(competition.root / "references" / f"{number}.png")
    file = competition.root / "competition.toml"
    file.write_text(file.read_text().replace("test.json", "prompts.csv"))
    competition = Competition.load(file)
    images = dict(zip(("000010.png", "000002.png", "000007.png"), good.values(), strict=True))
    source = _folder(tmp_path, dict(zip(("10.png", "2.png", "7.png"), good.values(), strict=True)))
    assert _imports(tmp_path, competition, source, images).matched_by == "their numbers"
    # 0, 2, 7 are neither these numbers nor a count: what would 0 be?
    (source / "10.png").rename(source / "0.png")
    with pytest.raises(SubmissionError, match="is the name of one of 3 images"):
        import_submission(source, competition, tmp_path / "other")


def test_names_in_order_when_that_is_said(pictures, tmp_path):
    competition, good = pictures(12)
    files = dict(zip([f"cat{number}{'abc'[number % 3]}.png" for number in range(3, 15)], good.values(), strict=True))
    source = _folder(tmp_path, files)
    with pytest.raises(SubmissionError, match="--order name"):
        import_submission(source, competition, tmp_path / "out")
    summary = _imports(tmp_path, competition, source, good, in_order=True)  # cat9 comes before cat10
    assert summary.matched_by == "the order of their names"
    (source / "cat3a.png").unlink()
    with pytest.raises(SubmissionError, match="11 pictures for 12 prompts"):
        import_submission(source, competition, tmp_path / "other", in_order=True)


def _mapping(tmp_path, rows, delimiter=","):
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows(rows)
    (tmp_path / "mapping.csv").write_text(file.getvalue())
    return tmp_path / "mapping.csv"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("form", ["named columns", "no header", "prompts", "paths", "no suffixes", "permuted names"])
def test_a_table_says_whose_each_picture_is(pictures, tmp_path, form, delimiter):
    competition, good = pictures()
    names = list(good)
    texts = {prompt.image_name: prompt.text for prompt in competition.prompts}
    file_of = {name: f"pic-{'hgfedcba'[number]}.png" for number, name in enumerate(names)}
    if form == "permuted names":
        file_of = dict(zip(names, names[1:] + names[:1], strict=True))
    rows = [[file_of[name], name] for name in names]
    rows = {
        "named columns": [["image_name", "file"], *([name, file] for file, name in rows)],
        "permuted names": [["file", "image_name"], *rows],
        "no header": rows,
        "prompts": [["picture", "text"], *([file, texts[name]] for file, name in rows)],
        "paths": [["a", "b"], *([f"C:\\runs\\{file}", name[:-4]] for file, name in rows)],
        "no suffixes": [[file[:-4], name[:-4]] for file, name in rows],
    }[form]
    source = _folder(tmp_path, {file_of[name]: data for name, data in good.items()})
    summary = _imports(tmp_path, competition, source, good, mapping=_mapping(tmp_path, rows, delimiter))
    assert summary.matched_by == "mapping.csv"


def test_a_table_that_is_wrong_names_every_line(pictures, tmp_path):
    competition, good = pictures(4)
    source = _folder(tmp_path, good)
    names = list(good)
    rows = [
        ["file", "image_name"],
        ["gone.png", names[0]],
        [names[1], "nobody"],
        [names[2], names[2]],
        [names[3], names[2]],
    ]
    with pytest.raises(SubmissionError) as caught:
        import_submission(source, competition, tmp_path / "out", mapping=_mapping(tmp_path, rows))
    said = str(caught.value)
    for part in (
        "line 2: there is no picture 'gone.png'",
        "line 3: no prompt, or more than one, is 'nobody'",
        f"line 5: the image '{names[2]}' has another picture already",
        "3 × has no line in mapping.csv",
    ):
        assert part in said
    swapped = [[a, b] for a, b in zip(names, names[::-1], strict=True)]
    with pytest.raises(UsageError, match="which column is which"):
        import_submission(source, competition, tmp_path / "out", mapping=_mapping(tmp_path, swapped))
    assert not (tmp_path / "out").exists()


def test_ambiguity_is_refused_with_every_problem_and_nothing_is_written(pictures, tmp_path):
    competition, good = pictures()
    source = _folder(tmp_path, good)
    (source / "0_main.jpg").write_bytes(saved(_picture(), "JPEG"))  # two could be it
    (source / "1_main.png").write_bytes(saved(_picture(size=(96, 64))))  # another shape
    (source / "2_main.png").write_bytes(good["2_main.png"][:-40])
    (source / "3_main.png").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    frames = {"save_all": True, "append_images": [_picture(2)]}
    (source / "4_main.png").write_bytes(saved(_picture(1).quantize(8), "GIF", **frames))
    (source / "5_main.png").rename(source / "other.png")
    (source / "link.png").symlink_to(source / "6_main.png")
    with pytest.raises(SubmissionError) as caught:
        import_submission(source, competition, tmp_path / "out")
    said = str(caught.value)
    for part in (
        "0_main.png: could be 0_main.jpg or 0_main.png",
        "1_main.png: is 96×64 pixels, which is another shape than 64×64",
        "--fit crop",
        "2_main.png: is cut short",
        "3_main.png: is a git-lfs pointer",
        "4_main.png: has 2 frames",
        "5_main.png: has no picture",
        "other.png: is no prompt's picture by its name",
        "link.png: is a symbolic link",
    ):
        assert part in said
    assert {path.name for path in tmp_path.iterdir()} == {"tiny", "drawn", "elsewhere"}


def test_nothing_is_ever_overwritten(pictures, tmp_path):
    competition, good = pictures()
    source = _folder(tmp_path, good)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years")
    with pytest.raises(UsageError, match="is there already"):
        import_submission(source, competition, tmp_path / "out")
    words = ["import", str(source), "-c", str(competition.root), "--out"]
    assert run(main, [*words, str(tmp_path / "out")]) == 2
    assert run(main, [*words, str(source / "out")]) == 2
    assert run(main, [*words, str(tmp_path / "no" / "out")]) == 2
    assert (tmp_path / "out" / "thesis.tex").read_text() == "years"
    assert {path.name for path in source.iterdir()} == set(good)


def test_a_zip_of_which_nothing_can_be_read(pictures, tmp_path):
    competition, _ = pictures()
    path = tmp_path / "secret.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0_main.png", b"x")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # general purpose flag, bit 0
    path.write_bytes(data)
    with pytest.raises(SubmissionError) as caught:
        import_submission(path, competition, tmp_path / "out")
    assert [(problem.name, problem.what) for problem in caught.value.problems] == [("0_main.png", "is encrypted")]
    assert not (tmp_path / "out").exists()


def test_what_is_left_out_is_said(pictures, tmp_path, capsys):
    competition, good = pictures()
    more = {"grid-0000.png": saved(_picture()), "metadata.csv": b"x", "grids/a.png": b"x", "submission.json": b"{}"}
    source = _folder(tmp_path, {**good, **more, ".DS_Store": b"x"})
    assert run(main, ["import", str(source), "-c", str(competition.root), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert f"imported 8 images into {tmp_path / 'out'}: a valid submission to A tiny competition" in said
    assert "left out: grid-0000.png, grids/, metadata.csv, submission.json" in said
    assert "ignored what the system or a tool left: .DS_Store" in said


def test_sizes_are_the_references_where_the_competition_names_none(pictures, tmp_path):
    competition, good = pictures()
    file = competition.root / "competition.toml"
    file.write_text(file.read_text().replace("image_size = 64\n", ""))
    reference = competition.root / "references" / "3_main.png"
    Image.open(reference).resize((128, 128)).save(reference)
    source = _folder(tmp_path, good)
    summary = import_submission(source, Competition.load(file), tmp_path / "out")
    assert summary.changes == {"resized from 64×64 to 128×128 pixels (Pillow Lanczos)": ["3_main.png"]}
