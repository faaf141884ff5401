"""Inpainting with small random weights: known pixels stay, the others are drawn; the command's errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from baselines.glide import __main__ as command
from baselines.glide.inpainting import Inpainter
from baselines.glide.weights import Folder
from baselines.hardware import Hardware
from submission import Competition, MissingPart
from submission.errors import UsageError, run

CPU = Hardware("cpu", "float32", "a test")


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)


@pytest.fixture
def fill() -> np.ndarray:
    """A hole whose border lies inside the base model's pixels, which are 2 wide."""
    mask = np.zeros((32, 32), bool)
    mask[9:22, 11:28] = True
    return mask


def test_known_pixels_stay_and_the_others_are_drawn(image: np.ndarray, fill: np.ndarray, weights: Path) -> None:
    inpainter = Inpainter(Folder.open(str(weights)), CPU)
    calls: list[None] = []
    edited = inpainter.inpaint(image, fill, "a red slime", 7, lambda: calls.append(None))
    assert len(calls) == inpainter.total_steps == 7
    assert np.array_equal(edited[~fill], image[~fill])
    assert (edited[fill] != image[fill]).mean() > 0.9
    assert np.array_equal(edited, inpainter.inpaint(image, fill, "a red slime", 7))
    assert not np.array_equal(edited, inpainter.inpaint(image, fill, "a red slime", 8))
    # What is under the hole has no influence: nothing of it is seen.
    hidden = np.where(fill[..., None], 0, image).astype(np.uint8)
    assert np.array_equal(edited, inpainter.inpaint(hidden, fill, "a red slime", 7))
    # What is around it has.
    other = np.where(fill[..., None], image, 255 - image)
    assert not np.array_equal(edited[fill], inpainter.inpaint(other, fill, "a red slime", 7)[fill])


@pytest.mark.parametrize(
    ("image_size", "mask_size", "message"),
    [(32, 16, "16×16 .* 32×32"), (16, 16, "draw 32×32"), (32, 0, "nothing to fill")],
)
@pytest.mark.usefixtures("unchecked")
def test_wrong_sizes_are_refused(image_size: int, mask_size: int, message: str, weights: Path) -> None:
    image = np.zeros((image_size, image_size, 3), np.uint8)
    fill = np.ones((mask_size, mask_size), bool) if mask_size else np.zeros((32, 32), bool)
    with pytest.raises(UsageError, match=message):
        Inpainter(Folder.open(str(weights)), CPU).inpaint(image, fill, "", 0)


def test_weights_that_cannot_inpaint_say_so(weights: Path) -> None:
    config = (weights / "glide.json").read_text().replace('"inpaint": true', '"inpaint": false')
    (weights / "glide.json").write_text(config)
    with pytest.raises(MissingPart, match="no base model that inpaints"):
        Inpainter(Folder.open(str(weights)), CPU)


@pytest.fixture
def inpaint(weights: Path, image: np.ndarray, fill: np.ndarray, tmp_path: Path) -> Callable[..., int]:
    """Runs the command on files of `image` and `fill`; options replace its own."""
    Image.fromarray(image).save(tmp_path / "image.png")
    Image.fromarray(fill.astype(np.uint8) * 255).save(tmp_path / "mask.png")

    def call(**options: str) -> int:
        given = {"image": "image.png", "mask": "mask.png", "out": "out.png"} | options
        paths = [f"--{name}={tmp_path / value}" for name, value in given.items() if name in ("image", "mask", "out")]
        rest = [f"--{name}={value}" for name, value in given.items() if name not in ("image", "mask", "out")]
        defaults = ["--prompt=a slime", f"--weights={weights}", "--device=cpu"]
        return run(command.main, ["inpaint", *defaults, *paths, *rest])

    return call


def test_the_command_edits_an_image(
    inpaint: Callable[..., int], image: np.ndarray, fill: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inpaint(prompt="a slime " * 9) == 0
    captured = capsys.readouterr()
    assert "inpainted 221 of 1,024 pixels" in captured.out
    assert "cut at 12 tokens" in captured.err
    edited = np.asarray(Image.open(tmp_path / "out.png"))
    assert np.array_equal(edited[~fill], image[~fill])
    assert not np.array_equal(edited[fill], image[fill])


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"image": "none.png"}, 2, "there is no file"),
        ({"mask": "."}, 2, "is a folder"),
        ({"mask": "small.png"}, 2, "the mask has 8×8 pixels and the image 32×32"),
        ({"mask": "text.png"}, 2, "neither PNG nor JPEG"),
        ({"out": "out.jpg"}, 2, r"must be a \.png"),
        ({"seed": "-1"}, 2, "--seed"),
        ({"steps": "0"}, 2, "--steps"),
        ({"steps": "1001"}, 2, "1001 steps"),
        ({"guidance-scale": "nan"}, 2, "--guidance-scale"),
        ({"weights": "/nowhere/at-all"}, 4, "weights are not there"),
    ],
)
def test_wrong_arguments_are_told(
    options: dict[str, str],
    code: int,
    message: str,
    inpaint: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Image.new("L", (8, 8), 255).save(tmp_path / "small.png")
    (tmp_path / "text.png").write_text("no picture")
    assert inpaint(**options) == code
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert not (tmp_path / "out.png").exists()


@pytest.fixture
def small_competition(tiny_competition: Callable[..., Competition]) -> Competition:
    """References of 32 pixels, as the small weights draw."""
    competition = tiny_competition(n=3)
    for path in (competition.root / "references").iterdir():
        with Image.open(path) as picture:
            picture.resize((32, 32)).save(path)
    toml = competition.root / "competition.toml"
    toml.write_text(toml.read_text().replace("image_size = 64", "image_size = 32"))
    return Competition.load(competition.root)


def test_a_sheet_shows_what_is_kept_and_what_each_prompt_makes(
    small_competition: Competition, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sheet.png"
    common = ["--competition", str(small_competition.root), "--weights", str(weights), "--device", "cpu"]
    assert run(command.main, ["sheet", *common, "--out", str(out), "--count", "2"]) == 0
    page = np.asarray(Image.open(out).convert("RGB"))
    columns = [page[58 : 58 + 128, left : left + 128] for left in (24, 164, 304, 444)]  # the first row's pictures
    original = small_competition.references().read(small_competition.prompts[0].image_name)
    assert np.array_equal(columns[0][::4, ::4], original)
    assert (columns[1][:64] == 160).all()
    for column in columns:
        assert np.array_equal(column[64:], columns[0][64:])  # the lower half is kept
    assert not np.array_equal(columns[2][:64], columns[3][:64])  # the prompts differ
    for wrong, message in ((["--count", "0"], "--count"), (["--out", "sheet.jpg"], r"must be a \.png")):
        assert run(command.main, ["sheet", *common, *wrong]) == 2
        assert re.search(message, capsys.readouterr().err)


def test_a_sheet_of_other_sizes_is_refused(
    tiny_competition: Callable[..., Competition], weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--competition", str(tiny_competition(n=1).root), "--weights", str(weights), "--device", "cpu"]
    assert run(command.main, ["sheet", *common, "--out", str(tmp_path / "sheet.png")]) == 2
    assert "the image has 64×64 pixels; these weights draw 32×32" in capsys.readouterr().err
    assert not (tmp_path / "sheet.png").exists()
