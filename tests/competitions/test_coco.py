"""COCO's caption file in its real form, small: what is paired with what, and what is refused."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from competitions.coco2014 import prepare as coco
from submission import Competition, CompetitionError, MissingPart
from submission.errors import UsageError, run

IDS = [391895, 522418, 184613, 318219, 554625, 574769, 60623, 309022, 5802, 222564, 118113, 193271]


def file_name(image: int) -> str:
    return f"COCO_val2014_{image:012d}.jpg"


def captions_file(path: Path) -> dict:
    """captions_val2014.json as COCO writes it, with five captions an image that name the image's id."""
    images = [
        {
            "license": 3,
            "file_name": file_name(image),
            "coco_url": f"http://images.cocodataset.org/val2014/{file_name(image)}",
            "height": 480,
            "width": 640,
            "date_captured": "2013-11-14 11:18:45",
            "flickr_url": "http://farm9.staticflickr.com/8186/8119368305_4e622c8349_z.jpg",
            "id": image,
        }
        for image in IDS
    ]
    annotations = [
        {"image_id": image, "id": 37 + 5 * number + k, "caption": f"A man  with a red helmet, {image} way {k}.\n"}
        for number, image in enumerate(IDS)
        for k in range(5)
    ]
    info = {"description": "COCO 2014 Dataset", "version": "1.0", "year": 2014, "contributor": "COCO Consortium"}
    licenses = [{"url": "http://creativecommons.org/licenses/by-nc/2.0/", "id": 2, "name": "Attribution"}]
    random.Random(0).shuffle(annotations)  # as in the real file, an image's captions do not stand together
    value = {"info": info, "images": images, "licenses": licenses, "annotations": annotations}
    path.write_text(json.dumps(value))
    return value


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with captions_val2014.json and val2014/, whose images show their id by their colour."""
    captions_file(tmp_path / "captions_val2014.json")
    (tmp_path / "val2014").mkdir()
    for number, image in enumerate(IDS):
        picture = Image.new("RGB", (64, 48) if number % 2 else (48, 64), colour(image))
        picture.save(tmp_path / "val2014" / file_name(image), quality=95)
    return tmp_path


def colour(image: int) -> tuple[int, int, int]:
    return image % 251, image // 251 % 251, image // 63001 % 251


@pytest.fixture
def made(source: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """`made(n=6, seed=0)` runs the command into a data folder of its own."""

    def make(n: int = 6, seed: int = 0, data: str = "data") -> Path:
        monkeypatch.setenv("DRAWOFF_DATA", str(source / data))
        arguments = ["--captions", str(source / "captions_val2014.json"), "--images", str(source / "val2014")]
        out = source / data / "coco2014"
        assert run(coco.main, [*arguments, "--n", str(n), "--seed", str(seed), "--out", str(out)]) == 0
        return out

    return make


def test_every_prompt_and_reference_is_of_the_same_image(made) -> None:
    entries = json.loads((made(n=len(IDS)) / "test.json").read_text())
    competition = Competition.load("coco2014")
    references = competition.references()
    assert len(competition.prompts) == len(IDS)
    for prompt in competition.prompts:
        image = int(prompt.key)
        assert prompt.image_name == file_name(image).replace(".jpg", ".png")
        assert prompt.text.startswith(f"A man with a red helmet, {image} way ")  # blanks made single
        assert entries[prompt.key]["image_id"] == image
        pixels = references.read(prompt.image_name)
        assert pixels.shape == (256, 256, 3)
        np.testing.assert_allclose(pixels.reshape(-1, 3).mean(0), colour(image), atol=4)


def test_the_order_of_the_file_decides_nothing(made, source: Path) -> None:
    first = (made() / "test.json").read_bytes()
    file = source / "captions_val2014.json"
    value = json.loads(file.read_text())
    for k in range(3):
        random.Random(k).shuffle(value["images"])
        random.Random(k + 10).shuffle(value["annotations"])
        file.write_text(json.dumps(value))
        assert (made(data=f"shuffled-{k}") / "test.json").read_bytes() == first


def test_the_seed_chooses_images_and_captions(source: Path) -> None:
    files, captions = coco.read_captions(source / "captions_val2014.json")
    chosen = {seed: coco.choose(files, captions, 6, seed) for seed in range(200)}
    assert all(len({one.image_id for one in some}) == 6 for some in chosen.values())
    assert {one.image_id for some in chosen.values() for one in some} == set(IDS)
    ways = {(one.image_id, one.caption[-2]) for some in chosen.values() for one in some}
    assert len(ways) == 5 * len(IDS)  # in 200 seeds every caption of every image has its turn
    fewer = coco.choose(files, captions, 3, seed=0)
    assert set(fewer) <= set(chosen[0])  # a smaller N is a part of a larger one, with the same captions


def test_grey_and_wide_images_become_square_references(source: Path, made) -> None:
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[:, 40:80] = (0, 200, 0)
    Image.fromarray(wide).save(source / "val2014" / file_name(IDS[0]), quality=100, subsampling=0)
    Image.new("L", (50, 70), 90).save(source / "val2014" / file_name(IDS[1]))
    made(n=len(IDS))
    references = Competition.load("coco2014").references()
    centre = references.read(file_name(IDS[0]).replace(".jpg", ".png"))
    np.testing.assert_allclose(centre[:, 8:-8].reshape(-1, 3).mean(0), (0, 200, 0), atol=3)
    grey = references.read(file_name(IDS[1]).replace(".jpg", ".png"))
    np.testing.assert_allclose(grey, 90, atol=2)


def test_an_interrupted_run_goes_on_and_another_selection_is_refused(made, source: Path, capsys) -> None:
    out = made()
    (out / "test.json").unlink()
    kept, lost = sorted((out / "references").iterdir())[:2]
    lost.unlink()
    before = kept.stat().st_mtime_ns
    made()
    assert kept.stat().st_mtime_ns == before
    assert lost.exists()
    made()
    assert "already made" in capsys.readouterr().out
    arguments = ["--captions", str(source / "captions_val2014.json"), "--images", str(source / "val2014")]
    assert run(coco.main, [*arguments, "--n", "6", "--seed", "1", "--out", str(out)]) == 2
    assert "another selection (seed, captions differ)" in capsys.readouterr().err


def test_complete_data_are_said_to_be_there_and_the_command_succeeds(made, capsys) -> None:
    out = made()
    capsys.readouterr()
    assert run(coco.main, ["--n", "10000", "--seed", "0"]) == 0  # what `make data COMPETITION=coco2014` runs
    assert f"6 prompts and references of 256 pixels, seed 0, in {out}" in capsys.readouterr().out
    (out / "test.json").unlink()
    assert run(coco.main, []) == 2
    assert "which captions and images?" in capsys.readouterr().err


def test_the_variables_of_make_are_its_options(made, source: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    first = made()
    variables = {"CAPTIONS": str(source / "captions_val2014.json"), "IMAGES": str(source / "val2014"), "N": "3"}
    for name, value in {**variables, "SEED": "5"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GIVEN", raising=False)
    assert run(coco.main, []) == 0  # without make, variables of these names mean something else
    assert not first.with_name("coco2014-n3-seed5").exists()
    monkeypatch.setenv("GIVEN", " ".join(variables))
    assert run(coco.main, []) == 0
    assert f"3 prompts and references of 256 pixels, seed 5, in {first.with_name('coco2014-n3-seed5')}" in (
        capsys.readouterr().out
    )


def test_two_selections_stand_side_by_side(made, source: Path, capsys) -> None:
    first = made()
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    sources = ["--captions", str(source / "captions_val2014.json"), "--images", str(source / "val2014")]
    for n, seed, name in ((3, 0, "coco2014-n3"), (6, 1, "coco2014-n6-seed1")):
        for _ in range(2):  # the second time it is there already
            assert run(coco.main, [*sources, "--n", str(n), "--seed", str(seed)]) == 0
        out = first.with_name(name)
        assert f"make score COMPETITION={out}" in capsys.readouterr().out
        other, shipped = Competition.load(out), Competition.load("coco2014")
        assert other.name == name
        assert len(other.prompts) == len(other.references()) == n
        assert (other.backbones, other.tiers, other.baselines) == (shipped.backbones, shipped.tiers, shipped.baselines)
        assert other.references().shapes()
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before
    assert run(coco.main, []) == 0
    assert capsys.readouterr().out.count("prompts and references of 256 pixels") == 3


def change(source: Path, edit: Callable[[dict], object]) -> Path:
    file = source / "captions_val2014.json"
    value = json.loads(file.read_text())
    edit(value)
    file.write_text(json.dumps(value))
    return file


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda v: v["images"].append(dict(v["images"][0])), "image 391895: its id is there twice"),
        (lambda v: v["images"].append({"id": 7, "file_name": file_name(5802)}), "image 7: has the file name of"),
        (lambda v: v["images"].append({"id": 7, "file_name": file_name(8)}), "image 7: its file name says another id"),
        (lambda v: v["images"].append({"id": 7, "file_name": "../../x.jpg"}), "image 7: its file name '../../x.jpg'"),
        (lambda v: v["images"].append({"id": "7", "file_name": "x.jpg"}), "images 12: has no whole number as id"),
        (lambda v: v["annotations"].append(dict(v["annotations"][0])), "its id is there twice"),
        (
            lambda v: v["annotations"].append({"id": 1, "image_id": 99, "caption": "A cat."}),
            "caption 1: is of an image that is not in the file",
        ),
        (lambda v: v["annotations"].append({"id": 1, "image_id": 5802, "caption": " \n"}), "caption 1: is empty"),
        (lambda v: [entry.pop("caption") for entry in v["annotations"]], "take captions_val2014.json, not instances"),
        (lambda v: v.pop("annotations"), "annotations: is missing"),
        (lambda v: v.pop("images"), "images: is missing"),
    ],
)
def test_a_broken_caption_file_names_every_problem(source: Path, edit, said: str) -> None:
    file = change(source, edit)
    with pytest.raises(CompetitionError) as caught:
        coco.read_captions(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_file_that_is_cut_off_is_refused(source: Path) -> None:
    file = source / "captions_val2014.json"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CompetitionError, match="is not JSON"):
        coco.read_captions(file)


def test_what_is_missing_says_where_to_get_it(source: Path, tmp_path: Path, capsys) -> None:
    captions, images = source / "captions_val2014.json", source / "val2014"
    assert run(coco.main, []) == 2
    assert "CAPTIONS=captions_val2014.json IMAGES=val2014/" in capsys.readouterr().err
    with pytest.raises(MissingPart, match=r"annotations_trainval2014\.zip"):
        coco.main(["--captions", str(tmp_path / "no.json"), "--images", str(images)])
    chosen = coco.choose(*coco.read_captions(captions), n=6, seed=0)
    with pytest.raises(MissingPart, match=r"val2014\.zip"):
        coco.write(chosen, tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(UsageError, match="N=13: there are 12 images with captions"):
        coco.choose(*coco.read_captions(captions), n=13, seed=0)


def test_every_absent_or_broken_image_is_named(source: Path, tmp_path: Path) -> None:
    chosen = coco.choose(*coco.read_captions(source / "captions_val2014.json"), n=6, seed=0)
    files = [source / "val2014" / one.file_name for one in chosen]
    for file in files[:2]:
        file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(CompetitionError) as caught:
        coco.write(chosen, source / "val2014", tmp_path / "out")
    assert all(file.name in str(caught.value) for file in files[:2])
    assert not (tmp_path / "out" / "test.json").exists()
    for file in files[2:4]:
        file.unlink()
    with pytest.raises(CompetitionError) as caught:
        coco.write(chosen, source / "val2014", tmp_path / "out")
    assert all(file.name in str(caught.value) for file in files[2:4])


def test_images_without_captions_are_no_candidates(source: Path) -> None:
    file = change(source, lambda v: v["images"].append({"id": 7, "file_name": file_name(7)}))
    files, captions = coco.read_captions(file)
    assert 7 in files
    assert 7 not in {one.image_id for one in coco.choose(files, captions, 12, seed=0)}
