"""The baselines that anchor the metrics."""

from __future__ import annotations

import math
import re
from collections import Counter

import numpy as np
import pytest
from PIL import Image

import baselines
from baselines import registry
from baselines.draw import Request, draw
from baselines.trivial import mean_image
from baselines.trivial.nearest import CaptionIndex
from submission import Competition, MissingPart, Submission

SEEDS = [0, 1, 2**63, 2**64 - 1]


def test_noise_is_uniform_and_seeded(tiny_competition) -> None:
    noise = baselines.load("noise", tiny_competition(2), "cpu")
    images = noise.generate(["x"] * 4, SEEDS)
    assert images.shape == (4, 64, 64, 3)
    assert images.dtype == np.uint8
    assert np.array_equal(noise.generate(["y"], SEEDS[2:3])[0], images[2])
    counts = np.bincount(images.ravel(), minlength=256)
    expected = images.size / 256
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert 150 < chi_squared < 370, "255 degrees of freedom: mean 255, standard deviation 22.6"
    correlation = np.corrcoef(images.reshape(4, -1).astype(float))
    assert np.abs(correlation - np.eye(4)).max() < 0.05


def test_noise_has_the_references_size_where_the_competition_names_none(tiny_competition) -> None:
    competition = tiny_competition(2)
    file = competition.root / "competition.toml"
    file.write_text(file.read_text().replace("image_size = 64\n", ""))
    for path in (competition.root / "references").iterdir():
        Image.open(path).resize((80, 48)).save(path)
    images = baselines.load("noise", Competition.load(file), "cpu").generate(["x"], [0])
    assert images.shape == (1, 48, 80, 3)
    for path in (competition.root / "references").iterdir():
        path.unlink()
    file.write_text(file.read_text().replace('references = "references"\n', 'statistics = ["mu.npy", "sigma.npy"]\n'))
    assert baselines.load("noise", Competition.load(file), "cpu").generate(["x"], [0]).shape == (1, 256, 256, 3)


def test_mean_image_is_the_mean(tiny_competition, training_set) -> None:
    images = baselines.load("mean-image", tiny_competition(2), "cpu").generate(["x", "y"], [1, 2])
    frames = [np.asarray(Image.open(path), np.float64) for path in training_set.joinpath("train").iterdir()]
    assert images.shape == (2, 64, 64, 3)
    assert np.abs(images[0] - np.mean(frames, axis=0)).max() <= 0.5
    assert np.array_equal(images[0], images[1])


@pytest.mark.parametrize("layout", ["course", "csv", "csv beside the images"])
def test_what_the_training_data_gives_changes_with_it(layout: str, tiny_competition, training_set, monkeypatch) -> None:
    competition, folder = tiny_competition(2), training_set / "train"
    if layout != "course":
        (training_set / "train_info.json").unlink()
        names = [frame.name for frame in folder.iterdir()]
        (training_set / "train.csv").write_text("id,prompt\n" + "".join(f"{name},A red slime.\n" for name in names))
    if layout == "csv beside the images":
        for frame in folder.iterdir():
            frame.rename(training_set / frame.name)
        folder.rmdir()
        folder = training_set
    means = []
    for grey in (None, 9):
        for frame in folder.glob("*.png") if grey else ():
            Image.new("RGB", (64, 64), (grey,) * 3).save(frame)
        means.append(baselines.load("mean-image", competition, "cpu").image)
        with monkeypatch.context() as patched:
            patched.delattr(mean_image, "mean_image_png")  # what was computed is kept
            assert np.array_equal(baselines.load("mean-image", competition, "cpu").image, means[-1])
    assert (means[0] != 9).any()
    assert (means[1] == 9).all()
    assert (baselines.load("nearest", competition, "cpu").generate(["a red slime"], [0]) == 9).all()


def test_a_mean_image_may_outlive_the_training_data(tiny_competition, training_set) -> None:
    Image.new("RGB", (64, 64), (9, 9, 9)).save(training_set / "mean-image.png")
    competition = tiny_competition(2)
    assert (baselines.load("mean-image", competition, "cpu").image != 9).any()
    (training_set / "train_info.json").unlink()
    assert (baselines.load("mean-image", competition, "cpu").image == 9).all()


def test_a_shipped_mean_image_needs_no_training_data(tiny_competition, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DRAWOFF_DATA", str(tmp_path / "nothing"))
    monkeypatch.setattr(mean_image, "shipped_path", lambda name: tmp_path / f"{name}.png")
    Image.new("RGB", (64, 64), (1, 2, 3)).save(tmp_path / "tiny.png")
    generator = baselines.load("mean-image", tiny_competition(2), "cpu")
    assert (generator.generate(["x"], [0]) == (1, 2, 3)).all()


@pytest.mark.parametrize("name", ["mean-image", "nearest"])
def test_missing_training_data_says_how_to_get_it(tiny_competition, tmp_path, monkeypatch, name) -> None:
    monkeypatch.setenv("DRAWOFF_DATA", str(tmp_path / "nothing"))
    with pytest.raises(MissingPart, match=r"put train_info.json and train/, or a CSV .*/tiny, which is not there"):
        baselines.load(name, tiny_competition(2), "cpu")


CAPTIONS = [
    "Red slime with horns. The monster is attacking.",
    "Red slime. The monster is attacking.",
    "red SLIME",
    "Blue bat with wings, wings and more wings.",
    "Blue bat.",
    "red SLIME",
]


def dense_similarities(captions: list[str], text: str) -> list[float]:
    """TF-IDF cosines from the definition, with every vector written out."""
    documents = [Counter(re.findall(r"\w+", caption.lower())) for caption in captions]
    vocabulary = sorted(set().union(*documents))
    idf = [math.log((1 + len(captions)) / (1 + sum(word in d for d in documents))) + 1 for word in vocabulary]

    def vector(count: Counter[str]) -> np.ndarray:
        raw = np.array([count[word] * weight for word, weight in zip(vocabulary, idf, strict=True)])
        return raw / (np.linalg.norm(raw) or 1.0)

    query = vector(Counter(re.findall(r"\w+", text.lower())))
    return [float(query @ vector(document)) for document in documents]


@pytest.mark.parametrize("text", ["A red slime, attacking.", "blue wings", "slime slime bat", "nothing known here", ""])
def test_tf_idf_is_as_defined(text) -> None:
    found = CaptionIndex(CAPTIONS).similarities(text)
    assert np.allclose(found, dense_similarities(CAPTIONS, text), atol=1e-12)


def test_a_caption_is_closest_to_itself_and_ties_go_to_the_first() -> None:
    index = CaptionIndex(CAPTIONS)
    assert [index.nearest(caption) for caption in CAPTIONS] == [0, 1, 2, 3, 4, 2]
    assert index.nearest("nothing known here") == 0


def test_nearest_takes_a_frame_of_the_closest_entry(tiny_competition, training_set, pixels) -> None:
    generator = baselines.load("nearest", tiny_competition(2), "cpu")
    prompts = ["Red slime. The monster is attacking.", "An azure bat", "Slime in red."]
    images = generator.generate(prompts, [0, 0, 1])
    for image, name in zip(images, ["0_attack1_5", "1_main_3", "0_main_2"], strict=True):
        assert np.array_equal(image, pixels(training_set / "train" / f"{name}.png"))
    frames = {generator.generate(["Slime in red."], [seed])[0].tobytes() for seed in range(20)}
    assert len(frames) == 3


@pytest.mark.parametrize("name", ["noise", "mean-image", "nearest"])
def test_the_batch_size_changes_no_byte(tiny_competition, training_set, tmp_path, read_all, name) -> None:
    competition = tiny_competition(7)
    images = []
    for batch_size in (1, 3, 16):
        out = tmp_path / f"{batch_size}"
        recipe = registry.recipe(name, competition)
        assert draw(Request(recipe, competition, batch_size=batch_size), out).complete
        Submission.open(out, competition)
        images.append({name: data for name, data in read_all(out).items() if name.endswith(".png")})
    assert images[0] == images[1] == images[2]
