"""The scorer on a pretended GPU: the numbers of the CPU, and nothing that a GPU would refuse."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pretended_cuda import pretended_cuda

from scorer import measure, score
from scorer.device import exact_float32, pick_device
from scorer.frechet import FrechetDistance, PairedFrechetDistance, feature_statistics
from scorer.metrics.inception_score import SplitScores
from scorer.metrics.kid import KernelInceptionDistance
from scorer.networks import resize
from scorer.networks.inception import load_inception
from submission import Competition, Scorecard

# Traced TorchScript, which this Python deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def assert_same(found: Scorecard, expected: Scorecard) -> None:
    """Every number of two scorecards is the same but for the rounding of other kernels."""
    for part in ("scores", "extra"):
        there, here = getattr(expected, part) or {}, getattr(found, part) or {}
        assert there.keys() == here.keys()
        for name, value in there.items():
            measured = value.value is not None
            assert here[name].value == (pytest.approx(value.value, rel=1e-4, abs=1e-4) if measured else None), name
            assert (here[name].low is None) == (value.low is None), name
    assert found.context == pytest.approx(expected.context, rel=1e-4)
    assert (found.suspicions, found.notes) == (expected.suspicions, expected.notes)


def test_the_embedded_networks(
    tiny_competition: Callable, tiny_submission: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All metrics: on the first GPU with the tables in memory, on the second with the tables in files."""
    competition = tiny_competition(20)
    drawn = tiny_submission(competition)
    expected = score(drawn, competition, "cpu", extra=True, progress=False)
    with pretended_cuda(count=2) as cuda:
        assert_same(score(drawn, competition, "cuda", extra=True, progress=False), expected)
        assert cuda.memory.touched == {0}
    monkeypatch.setattr(measure, "IN_MEMORY_BYTES", 0)
    with pretended_cuda(count=2) as cuda:
        # The references' features are read from files now; another batch size, or the result would be too.
        assert_same(score(drawn, competition, "cuda:1", extra=True, cache=False, progress=False), expected)
        assert cuda.memory.touched == {1}, "something was put on a GPU that is another process's"
        known = score(tiny_submission(competition, 2000, "other"), competition, "cuda:1", progress=False)
    assert known.scores["fid"].value > 0


def test_bfloat16(tiny_competition: Callable, tiny_submission: Callable) -> None:
    competition = tiny_competition(3)
    drawn = tiny_submission(competition)
    expected = score(drawn, competition, "cpu", precision="fast", progress=False)
    with pretended_cuda():
        found = score(drawn, competition, "cuda", precision="fast", progress=False)
    assert found.fingerprint == expected.fingerprint
    for name in ("fid", "clip_i", "clip_t", "psnr", "ssim"):
        assert found.scores[name].value == pytest.approx(expected.scores[name].value, rel=0.02, abs=0.01), name


def test_official_layouts_and_images_of_several_sizes(
    tmp_path: Path,
    make_competition: Callable,
    write_images: Callable,
    draw: Callable,
    clean_weights: Path,
    tiny_clip_weights: Path,
) -> None:
    """A TorchScript archive and an open_clip model, from files."""
    names = [f"{index}.png" for index in range(6)]
    sizes = [(64, 64), (96, 72), (80, 120)]
    root = make_competition(names, inception="clean")
    shutil.copy(tiny_clip_weights, root / "clip.safetensors")
    write_images(root / "references", {name: draw(i, sizes[i % 3]) for i, name in enumerate(names)})
    entry = write_images(tmp_path / "entry", {name: draw(i + 50, sizes[i % 3]) for i, name in enumerate(names)})
    options = {"inception_weights": clean_weights, "trust_weights": True, "batch_size": 3, "progress": False}
    expected = score(entry, Competition.load(root), "cpu", **options)
    with pretended_cuda():
        assert_same(score(entry, Competition.load(root), "cuda", **options), expected)


def test_an_inception_in_full(torchvision_weights: Path, draw: Callable) -> None:
    images = torch.from_numpy(draw(0, (64, 80))).permute(2, 0, 1)[None]
    with torch.inference_mode(), exact_float32():
        inception = load_inception("torchvision", torch.device("cpu"), torchvision_weights)
        features = inception.features(images)
        expected = features, inception.log_probabilities(features)
        with pretended_cuda():
            inception = load_inception("torchvision", pick_device("auto"), torchvision_weights)
            features = inception.features(images.to("cuda"))
            found = features, inception.log_probabilities(features.cpu())
            assert {tensor.device for tensor in found} == {torch.device("cuda:0")}
            found = [tensor.cpu() for tensor in found]
    for here, there in zip(found, expected, strict=True):
        torch.testing.assert_close(here, there, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "function",
    [
        lambda images: resize.clean_fid_resize(images, 75),
        lambda images: resize.legacy_pytorch_resize(images, 75),
        lambda images: resize.legacy_tensorflow_resize(images, 75),
        lambda images: resize.open_clip_resize(images, 48),
        lambda images: resize.squash_resize(images, 75, "bilinear"),
    ],
    ids=["clean", "legacy_pytorch", "legacy_tensorflow", "open_clip", "squash"],
)
def test_the_resizes(function: Callable) -> None:
    images = torch.randint(0, 256, (2, 3, 49, 66), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with pretended_cuda():
        found = function(images.to("cuda"))
        assert found.device == torch.device("cuda:0")
        found = found.cpu()
    assert torch.equal(found, function(images))


@pytest.mark.parametrize("n", [30, 90])  # fewer images than features, and more
@pytest.mark.parametrize("on_gpu", [False, True])
def test_what_is_left_out_for_intervals(n: int, on_gpu: bool) -> None:
    """With the features on the GPU, or in files, that is, on the CPU."""
    generator = torch.Generator().manual_seed(n)
    x, y = (torch.relu(torch.randn(n, 40, generator=generator)) for _ in range(2))
    rows_out = torch.tensor([0, 7, n - 1])

    def values(device: torch.device, x: torch.Tensor, y: torch.Tensor) -> list[float]:
        pairs = PairedFrechetDistance(FrechetDistance(x, *feature_statistics(y), device), y)
        kid = KernelInceptionDistance(x, y, device, paired=True)
        inception = SplitScores(x, lambda part: part.log_softmax(dim=1), device=device)
        return [pairs.without(rows_out), kid.without(rows_out), kid.floor, *inception.without(rows_out).tolist()]

    expected = values(torch.device("cpu"), x, y)
    with pretended_cuda():
        cuda = torch.device("cuda")
        found = values(cuda, *((x.to(cuda), y.to(cuda)) if on_gpu else (x, y)))
    assert found == pytest.approx(expected, rel=1e-6)
