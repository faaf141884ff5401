"""Statistics of a folder, and the FID against them: of the prompts' own references, or of more images than these."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from cleanfid.features import InceptionV3W
from cleanfid.fid import frechet_distance, get_folder_features
from PIL import Image

import scorer
from scorer.__main__ import main
from scorer.frechet import feature_statistics
from scorer.networks.inception import BestiaryInception
from scorer.statistics import make_statistics
from submission import Competition, CompetitionError, MissingPart, Scorecard, commands
from submission.errors import UsageError, run
from submission.statistics import Statistics, read_statistics, write_statistics

NAMES = [f"{i}.png" for i in range(24)]
SIZES = [(64, 64), (64, 80), (96, 72)]


@pytest.fixture
def many(tmp_path: Path, write_images: Callable, draw: Callable) -> Path:
    """40 pictures of several shapes and both formats, in folders."""
    folder = tmp_path / "many"
    write_images(folder, {f"{i}.{'jpg' if i % 5 == 4 else 'png'}": draw(100 + i, SIZES[i % 3]) for i in range(30)})
    write_images(folder / "more", {f"{i}.png": draw(200 + i, (64, 64)) for i in range(10)})
    (folder / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture
def competition(make_competition: Callable, write_images: Callable, draw: Callable) -> Path:
    """The bestiary's networks, 24 prompts in 12 families, references."""
    texts = [f"a red monster, number {i // 2}" for i in range(24)]
    root = make_competition(NAMES, inception="bestiary", clip="bestiary", texts=texts)
    toml = root / "competition.toml"
    toml.write_text(toml.read_text().replace('clip_weights = "clip.safetensors"\n', ""))
    write_images(root / "references", {name: draw(i, (64, 64)) for i, name in enumerate(NAMES)})
    return root


@pytest.fixture
def entry(tmp_path: Path, write_images: Callable, draw: Callable) -> Path:
    return write_images(tmp_path / "entry", {name: draw(500 + i, (64, 64)) for i, name in enumerate(NAMES)})


def run_on(entry: Path, competition: Path, line: str = "", **options: object) -> Scorecard:
    toml = competition / "competition.toml"
    whole = toml.read_text()
    toml.write_text(whole.replace("[backbones]", f"{line}\n[backbones]", 1))
    try:
        return scorer.score(entry, Competition.load(competition), "cpu", progress=False, **options)
    finally:
        toml.write_text(whole)


def features_of(paths: list[Path]) -> torch.Tensor:
    network = BestiaryInception(torch.device("cpu"))
    images = [torch.from_numpy(np.asarray(Image.open(path).convert("RGB")).copy()) for path in paths]
    with torch.inference_mode():
        return torch.cat([network.features(image.permute(2, 0, 1)[None]) for image in images])


@pytest.mark.parametrize("batch_size", [4, 64])
def test_statistics_are_those_of_every_image_one_by_one(many: Path, batch_size: int) -> None:
    found = make_statistics(many, "bestiary", device="cpu", batch_size=batch_size)
    mean, covariance = feature_statistics(features_of([p for p in many.rglob("*") if p.suffix in (".png", ".jpg")]))
    assert found.n == 40
    np.testing.assert_allclose(found.mean, mean.numpy(), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.covariance, covariance.numpy(), rtol=1e-3, atol=1e-6 * float(covariance.max()))


def test_a_zip_has_the_statistics_of_its_folder(many: Path, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "packed"), "zip", many / "more")
    packed = make_statistics(tmp_path / "packed.zip", "bestiary", device="cpu")
    folder = make_statistics(many / "more", "bestiary", device="cpu")
    assert packed.n == folder.n == 10
    np.testing.assert_array_equal(packed.covariance, folder.covariance)
    (tmp_path / "broken.zip").write_bytes((tmp_path / "packed.zip").read_bytes()[:-40])
    with pytest.raises(CompetitionError, match=r"broken\.zip"):
        make_statistics(tmp_path / "broken.zip", "bestiary", device="cpu")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_statistics_against_clean_fids(many: Path, clean_weights: Path, tmp_path: Path) -> None:
    for path in list(many.rglob("*"))[:34]:  # a few suffice
        if path.is_file():
            path.unlink()
    found = make_statistics(many, "clean", clean_weights, "cpu", trust_weights=True)
    network = InceptionV3W(str(clean_weights.parent), download=False)
    features = get_folder_features(
        str(many), network, num_workers=0, device=torch.device("cpu"), mode="clean", verbose=False
    ).astype(np.float64)
    assert found.n == len(features)
    np.testing.assert_allclose(found.mean, features.mean(0), rtol=1e-3, atol=1e-5)
    expected = np.cov(features, rowvar=False)
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-2, atol=1e-4 * np.abs(expected).max())


@pytest.mark.usefixtures("any_scipy")
def test_fid_against_more_images_than_the_references(competition: Path, entry: Path, many: Path) -> None:
    """Everything else stays against the references; scorecard and fingerprint say so."""
    assert main(["statistics", str(many), "--inception", "bestiary", "--out", str(competition / "s.npz")]) == 0
    own = run_on(entry, competition)
    card = run_on(entry, competition, 'statistics = "s.npz"')
    found = read_statistics([competition / "s.npz"])
    mean, covariance = (table.numpy() for table in feature_statistics(features_of([entry / name for name in NAMES])))
    assert card.scores["fid"].value == pytest.approx(frechet_distance(mean, covariance, *found.moments), rel=1e-4)
    assert card.scores["fid"].value != pytest.approx(own.scores["fid"].value, rel=1e-2)
    for name in ("clip_i", "clip_t", "psnr", "ssim", "is"):
        assert card.scores[name] == own.scores[name]
    assert card.fingerprint["references_sha256"] == own.fingerprint["references_sha256"]
    assert card.fingerprint["statistics_sha256"]
    assert own.fingerprint["statistics_sha256"] is None
    (note,) = [note for note in card.notes if "statistics" in note]
    assert "the given statistics of 40 images" in note
    assert "CLIP-I, PSNR and SSIM are against the prompts' own references" in note


def test_statistics_of_the_own_references_leave_them_out_with_the_images(competition: Path, entry: Path) -> None:
    own = run_on(entry, competition)
    write_statistics(competition / "s.npz", make_statistics(competition / "references", "bestiary", device="cpu"))
    card = run_on(entry, competition, 'statistics = ["s.npz"]')
    for part in ("value", "low", "high"):
        assert getattr(card.scores["fid"], part) == pytest.approx(getattr(own.scores["fid"], part), rel=1e-4)
    assert any("those of the prompts' own references" in note for note in card.notes)
    # The same statistics without the images: nothing can be left out with its reference.
    shutil.move(competition / "references", competition / "elsewhere")
    alone = run_on(entry, competition, 'statistics = ["s.npz"]', cache=False)
    assert alone.scores["fid"].value == pytest.approx(own.scores["fid"].value, rel=1e-4)
    assert alone.scores["fid"].low != pytest.approx(own.scores["fid"].low, rel=1e-3)
    assert any("its interval for other prompts and the same statistics" in note for note in alone.notes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"inception": "clean"}, "were made with the Inception 'clean', and its backbones.inception is 'bestiary'"),
        ({"inception_sha256": "0" * 64}, "were made with other weights of 'bestiary' (000000000000…"),
        ({"mean": np.zeros(2048), "covariance": np.eye(2048)}, "have 2048 features, its Inception 176"),
    ],
)
def test_statistics_of_another_network_are_refused_before_anything_is_measured(
    competition: Path, entry: Path, change: dict, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_statistics(competition / "references", "bestiary", device="cpu")
    write_statistics(competition / "s.npz", Statistics(**{**made.__dict__, **change}))
    monkeypatch.setattr(BestiaryInception, "features", lambda *_: pytest.fail("measured"))
    with pytest.raises(CompetitionError) as caught:
        run_on(entry, competition, 'statistics = "s.npz"')
    assert said in str(caught.value)
    assert commands.module("scorer statistics FOLDER --inception bestiary") in str(caught.value)


def test_bad_images_are_named_all_at_once_and_nothing_is_written(many: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "s.npz"
    (many / "0.png").write_bytes(b"GIF89a")
    Image.new("RGBA", (64, 64)).save(many / "more" / "3.png")
    code = run(lambda argv: main(["statistics", str(many), "--inception", "bestiary", "--out", str(out)]))
    message = capsys.readouterr().err
    assert code == 3
    assert "0.png" in message
    assert "3.png" in message
    assert not out.exists()


def test_usage_and_missing_parts(tmp_path: Path, many: Path) -> None:
    with pytest.raises(MissingPart, match="no such folder"):
        make_statistics(tmp_path / "nowhere", "bestiary")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingPart, match="no images"):
        make_statistics(tmp_path / "empty", "bestiary")
    with pytest.raises(MissingPart, match=r"inception-2015-12-05\.pt"):
        make_statistics(many, "clean")
    for out in (tmp_path / "s.npy", tmp_path / "no" / "s.npz"):
        with pytest.raises(UsageError):
            main(["statistics", str(many), "--inception", "bestiary", "--out", str(out)])
