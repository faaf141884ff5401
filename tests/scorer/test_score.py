"""The whole scorecard against the plain stack: clean-fid, open_clip loops, torchmetrics, one file after the other."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from cleanfid.features import InceptionV3W
from cleanfid.fid import get_folder_features
from PIL import Image
from safetensors.torch import load_file
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure

import scorer
from scorer.frechet import feature_statistics
from submission import Competition, MissingPart, Scorecard, SubmissionError
from submission.errors import UsageError

TINY_CLIP = "drawoff-test-quickgelu"
NAMES = [f"{i}.jpg" if i % 4 == 3 else f"{i}.png" for i in range(24)]
# Several shapes, interleaved: batches must not mix them up.
SIZES = [(64, 64), (96, 72), (80, 120)]
# Traced TorchScript, which clean-fid loads and this Python deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
def competition(
    tmp_path: Path, make_competition: Callable, write_images: Callable, draw: Callable, tiny_clip_weights: Path
) -> Path:
    """24 prompts with references of several sizes and formats, protocol 'clean'."""
    tiers = '[[tiers]]\nname = "easy"\nfid = 1e9\nclip_t = -1.0\n[[tiers]]\nname = "hard"\nssim = 1.0\nis = 1000.0\n'
    root = make_competition(NAMES, inception="clean", tiers=tiers)
    shutil.copy(tiny_clip_weights, root / "clip.safetensors")
    write_images(root / "references", {name: draw(i, SIZES[i % 3]) for i, name in enumerate(NAMES)})
    return root


@pytest.fixture
def entry(tmp_path: Path, write_images: Callable, draw: Callable) -> Path:
    """A submission: the references with noise of growing strength."""
    rng = np.random.default_rng(9)
    images = {}
    for i, name in enumerate(NAMES):
        picture = draw(i, SIZES[i % 3]).astype(float)
        images[name] = (picture + rng.normal(0, 2 * i + 5, picture.shape)).clip(0, 255).astype(np.uint8)
    return write_images(tmp_path / "entry", images)


def run(entry: Path, competition: Path, clean_weights: Path, **options: object) -> Scorecard:
    return scorer.score(
        entry,
        Competition.load(competition),
        "cpu",
        inception_weights=clean_weights,
        trust_weights=True,
        progress=False,
        **options,
    )


def frechet_distance_by_svd(a: np.ndarray, b: np.ndarray) -> float:
    """Tr (Σ₁Σ₂)^½ as the nuclear norm of A Bᵀ: a third way; scipy's sqrtm is inaccurate for so few images."""
    centred = [(x - x.mean(axis=0)) / np.sqrt(len(x) - 1) for x in (a, b)]
    root = np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False).sum()
    return ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum() + sum((x**2).sum() for x in centred) - 2 * root


@torch.inference_mode()
def test_against_the_plain_stack(entry: Path, competition: Path, clean_weights: Path, tmp_path: Path) -> None:
    card = run(entry, competition, clean_weights, batch_size=5, per_image=tmp_path / "images.csv")
    values = {name: score.value for name, score in card.scores.items()}
    references = competition / "references"

    network = InceptionV3W(str(clean_weights.parent), download=False)
    features = [
        get_folder_features(
            str(folder), network, num_workers=0, device=torch.device("cpu"), mode="clean", verbose=False
        ).astype(np.float64)
        for folder in (entry, references)
    ]
    fid = frechet_distance_by_svd(*features)
    assert values["fid"] == pytest.approx(fid, rel=1e-5)

    model, _, transform = open_clip.create_model_and_transforms(
        TINY_CLIP, pretrained=str(competition / "clip.safetensors")
    )
    model.eval()
    tokenizer = open_clip.get_tokenizer(TINY_CLIP)
    prompts = json.loads((competition / "test.json").read_text())
    rows = []
    for prompt in prompts.values():
        name = prompt["image_name"]
        pair = [Image.open(folder / name) for folder in (entry, references)]
        a, b = (model.encode_image(transform(image)[None], normalize=True) for image in pair)
        text = model.encode_text(tokenizer([prompt["text_prompt"]]), normalize=True)
        pixels = [torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None] / 255.0 for image in pair]
        psnr = PeakSignalNoiseRatio(data_range=1.0)(*pixels)
        ssim = StructuralSimilarityIndexMeasure(data_range=1.0)(*pixels)
        rows.append([float(x) for x in ((a * b).sum(), (a * text).sum(), psnr, ssim, (b * text).sum())])
    expected = np.array(rows)
    for column, name, tolerance in ((0, "clip_i", 1e-6), (1, "clip_t", 1e-6), (2, "psnr", 1e-5), (3, "ssim", 1e-5)):
        assert values[name] == pytest.approx(expected[:, column].mean(), abs=tolerance)
    assert card.context["clip_t_references"] == pytest.approx(expected[:, 4].mean(), abs=1e-6)
    assert card.context["clip_t_shuffled"] != pytest.approx(values["clip_t"], abs=1e-7)
    assert values["is"] >= 1.0

    table = list(csv.DictReader((tmp_path / "images.csv").read_text().splitlines()))
    assert [row["image_name"] for row in table] == NAMES
    assert [row["prompt"] for row in table] == [prompt["text_prompt"] for prompt in prompts.values()]
    assert [float(row["clip_t"]) for row in table] == pytest.approx(expected[:, 1], abs=2e-6)
    assert [float(row["psnr"]) for row in table] == pytest.approx(expected[:, 2], abs=1e-5)


def test_scorecard_facts(entry: Path, competition: Path, clean_weights: Path) -> None:
    card = run(entry, competition, clean_weights)
    assert card.n == 24
    assert card.name == "entry"
    assert card.ranks
    assert [tier.passed for tier in card.tiers] == [True, False]
    assert card.fingerprint["protocol"] == 1
    assert card.fingerprint["n"] == 24
    assert {"inception_sha256", "clip_sha256", "references_sha256", "prompts_sha256"} <= card.fingerprint.keys()
    assert Scorecard.from_json(card.to_json()) == card


def test_batch_size_and_cache_change_nothing_but_rounding(
    entry: Path, competition: Path, clean_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(entry, competition, clean_weights, batch_size=7)
    second = run(entry, competition, clean_weights, batch_size=24, cache=False)
    assert second.fingerprint == first.fingerprint
    for name in first.scores:
        assert second.scores[name].value == pytest.approx(first.scores[name].value, rel=1e-5)


def test_a_broken_cache_file_is_made_again(
    entry: Path, competition: Path, clean_weights: Path, cache_home: Path
) -> None:
    first = run(entry, competition, clean_weights)
    for file in (cache_home / "references").iterdir():
        file.write_bytes(file.read_bytes()[:1000])
    for file in (cache_home / "results").iterdir():
        file.write_bytes(file.read_bytes()[:1000])
    assert run(entry, competition, clean_weights) == first


def test_the_references_themselves(competition: Path, clean_weights: Path) -> None:
    card = run(competition / "references", competition, clean_weights)
    assert 0.0 <= card.scores["fid"].value < 1e-3
    assert card.scores["clip_i"].value == pytest.approx(1.0, abs=1e-6)
    assert card.scores["ssim"].value == pytest.approx(1.0, abs=1e-6)
    assert card.scores["psnr"].value == 100.0
    assert any("24 images are identical" in note for note in card.notes)


def test_shuffled_names_lower_clip_i_and_leave_fid_and_is_alone(
    tmp_path: Path, make_competition: Callable, write_images: Callable, draw: Callable, tiny_clip_weights: Path,
    clean_weights: Path,
) -> None:  # fmt: skip
    root = make_competition(NAMES, inception="clean", clip_weights=tiny_clip_weights)
    images = {name: draw(i, (64, 64)) for i, name in enumerate(NAMES)}
    write_images(root / "references", images)
    shifted = dict(zip(NAMES, [*list(images.values())[1:], images[NAMES[0]]], strict=True))
    # PNG only in one folder: JPEG files of other images differ by compression.
    card = run(write_images(tmp_path / "shifted", shifted), root, clean_weights)
    own = run(write_images(tmp_path / "own", images), root, clean_weights)
    assert card.scores["clip_i"].value < own.scores["clip_i"].value
    assert card.scores["psnr"].value < 30 < own.scores["psnr"].value


def test_precomputed_statistics_instead_of_references(
    entry: Path, competition: Path, clean_weights: Path, cache_home: Path
) -> None:
    whole = run(entry, competition, clean_weights)
    (file,) = (cache_home / "references").glob("reference_inception-*")
    mean, covariance = feature_statistics(load_file(file)["reference_inception"])
    np.save(competition / "mu.npy", mean.numpy())
    np.save(competition / "sigma.npy", covariance.numpy())
    toml = (competition / "competition.toml").read_text()
    (competition / "competition.toml").write_text(
        toml.replace('references = "references"', 'statistics = ["mu.npy", "sigma.npy"]')
    )
    card = run(entry, competition, clean_weights)
    assert card.scores["fid"].value == pytest.approx(whole.scores["fid"].value, rel=1e-9)
    assert card.scores["clip_t"] == whole.scores["clip_t"]
    for name in ("clip_i", "psnr", "ssim"):
        assert card.scores[name].value is None
        assert "no reference images" in card.scores[name].reason
    assert card.fingerprint["references_sha256"] is None
    assert card.fingerprint["statistics_sha256"]
    assert not card.tiers[1].passed  # a threshold on a metric that is not there is not reached


def test_limit_scores_the_first_and_does_not_rank(
    entry: Path, competition: Path, clean_weights: Path, cache_home: Path
) -> None:
    for name in NAMES[12:]:
        (entry / name).unlink()  # a submission drawn with the same limit
    card = run(entry, competition, clean_weights, limit=12)
    assert card.n == 12
    assert not card.ranks
    assert any("first 12 of 24" in note for note in card.notes)
    assert not (cache_home / "references").exists()
    one = run(entry, competition, clean_weights, limit=1)
    assert one.scores["fid"].value is None
    assert one.scores["is"].value is None
    with pytest.raises(SubmissionError, match="is missing"):
        run(entry, competition, clean_weights)


def test_every_problem_at_once_and_nothing_written(
    entry: Path, competition: Path, clean_weights: Path, tmp_path: Path, cache_home: Path
) -> None:
    (entry / NAMES[0]).unlink()
    (entry / "extra.png").write_bytes((entry / NAMES[1]).read_bytes())
    (entry / NAMES[2]).write_bytes((entry / NAMES[2]).read_bytes()[:-50])
    Image.new("RGBA", (64, 64)).save(entry / NAMES[6])
    with pytest.raises(SubmissionError) as caught:
        run(entry, competition, clean_weights, per_image=tmp_path / "images.csv")
    assert {problem.name for problem in caught.value.problems} == {NAMES[0], "extra.png", NAMES[2], NAMES[6]}
    assert not (tmp_path / "images.csv").exists()
    assert not cache_home.exists()


def test_decoding_problems_alone(entry: Path, competition: Path, clean_weights: Path) -> None:
    for name in (NAMES[5], NAMES[20]):
        (entry / name).write_bytes(b"GIF89a")
    shape = SIZES[1][::-1]
    Image.new("RGB", (shape[0] + 1, shape[1])).save(entry / NAMES[4])  # another size than the reference
    with pytest.raises(SubmissionError, match="its reference") as caught:
        run(entry, competition, clean_weights, batch_size=4)
    assert {problem.name for problem in caught.value.problems} == {NAMES[4], NAMES[5], NAMES[20]}
    with pytest.raises(SubmissionError) as caught:  # where the official weights are not at hand, too
        run(entry, competition, clean_weights.with_name("gone.pt"))
    assert {problem.name for problem in caught.value.problems} == {NAMES[4], NAMES[5], NAMES[20]}


def test_missing_weights_and_wrong_options(entry: Path, competition: Path, clean_weights: Path) -> None:
    with pytest.raises(MissingPart, match=r"inception-2015-12-05\.pt"):
        scorer.score(entry, competition, "cpu", progress=False)
    with pytest.raises(UsageError):
        run(entry, competition, clean_weights, limit=0)
    with pytest.raises(UsageError, match="device"):
        scorer.score(entry, competition, "tpu:x")


def test_exported_names() -> None:
    assert scorer.__all__ == ["Scorer", "score"]
    assert callable(scorer.score)
