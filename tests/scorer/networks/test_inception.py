"""Each Inception protocol against a plain re-implementation of it, image by image, on random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL
import pytest
import torch
from cleanfid.features import InceptionV3W
from cleanfid.fid import get_folder_features
from PIL import Image
from torchvision.models import inception_v3
from torchvision.transforms import Compose, Normalize, Resize, ToTensor

from scorer.networks.clip import load_clip
from scorer.networks.inception import load_inception
from submission import CompetitionError, MissingPart
from submission.errors import UsageError

CPU = torch.device("cpu")
SIZES = [(64, 64), (64, 64), (256, 256), (97, 180), (320, 240)]


def as_batch(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None]


@pytest.mark.skipif(int(PIL.__version__.split(".")[0]) < 13, reason="Pillow before 13 rounds otherwise")
@torch.inference_mode()
def test_torchvision_protocol_against_the_course_scorer(torchvision_weights: Path, draw: Callable) -> None:
    network = inception_v3(weights=None, aux_logits=True, init_weights=False)
    network.load_state_dict(torch.load(torchvision_weights, weights_only=True))
    network.transform_input = False
    network.eval()
    transform = Compose([Resize((299, 299)), ToTensor(), Normalize([0.5] * 3, [0.5] * 3)])
    ours = load_inception("torchvision", CPU, torchvision_weights)
    for i, size in enumerate(SIZES):
        image = draw(i, size)
        pixels = transform(Image.fromarray(image))[None]
        logits = network(pixels)
        features = ours.features(as_batch(image))
        assert features.shape == (1, 2048)
        classifier, network.fc = network.fc, torch.nn.Identity()
        expected, network.fc = network(pixels), classifier
        scale = expected.abs().max()
        assert (features - expected).abs().max() <= 1e-4 * scale
        probabilities = logits.softmax(dim=1)
        assert (ours.log_probabilities(features).exp() - probabilities).abs().max() <= 1e-4
    assert ours.name == "torchvision"
    assert len(ours.sha256) == 64


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@torch.inference_mode()
def test_clean_protocol_against_clean_fid(
    clean_weights: Path, draw: Callable, write_images: Callable, tmp_path: Path
) -> None:
    images = {f"{i}.png": draw(i, size) for i, size in enumerate(SIZES)}
    folder = write_images(tmp_path / "images", images)
    network = InceptionV3W(str(clean_weights.parent), download=False)
    expected = get_folder_features(str(folder), network, num_workers=0, device=CPU, mode="clean", verbose=False)
    ours = load_inception("clean", CPU, clean_weights, trusted=True)
    features = torch.cat([ours.features(as_batch(image)) for image in images.values()])
    assert np.abs(features.numpy() - expected).max() <= 1e-5 * np.abs(expected).max()
    # Without the bias, which is what the field reports as IS.
    logits = features.double() @ network.base.output.weight.double().T
    torch.testing.assert_close(ours.log_probabilities(features), logits.log_softmax(dim=1), rtol=0, atol=1e-9)


@torch.inference_mode()
def test_an_image_does_not_depend_on_its_batch(torchvision_weights: Path, draw: Callable) -> None:
    ours = load_inception("torchvision", CPU, torchvision_weights)
    images = torch.cat([as_batch(draw(i, (64, 64))) for i in range(3)])
    together = ours.features(images)
    for i in range(3):
        assert (together[i] - ours.features(images[i : i + 1])[0]).abs().max() <= 1e-5 * together.abs().max()


@pytest.mark.parametrize(
    ("protocol", "file"), [("clean", "inception-2015-12-05.pt"), ("torchvision", "inception_v3_google-0cc3c7bd.pth")]
)
def test_missing_weights_are_named(
    protocol: str, file: str, cache_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with pytest.raises(MissingPart) as caught:
        load_inception(protocol, CPU)
    message = str(caught.value)
    assert file in message
    assert str(cache_home) in message
    assert "https://" in message
    assert "--inception-weights" in message
    with pytest.raises(MissingPart, match=r"nowhere\.pt"):
        load_inception(protocol, CPU, tmp_path / "nowhere.pt")


def test_weights_are_found_in_the_cache(cache_home: Path, torchvision_weights: Path) -> None:
    cache_home.mkdir()
    (cache_home / "inception_v3_google-0cc3c7bd.pth").symlink_to(torchvision_weights)
    assert load_inception("torchvision", CPU).name == "torchvision"
    assert load_inception("torchvision", CPU, cache_home).name == "torchvision"


def test_wrong_weights_are_refused(tmp_path: Path, clean_weights: Path, torchvision_weights: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(MissingPart, match="another network"):
        load_inception("torchvision", CPU, tmp_path / "other.pth")
    with pytest.raises(MissingPart, match="TorchScript"):
        load_inception("clean", CPU, torchvision_weights)
    torch.save(Path("an object"), tmp_path / "pickle.pth")
    with pytest.raises(MissingPart, match="not a file of weights"):
        load_inception("torchvision", CPU, tmp_path / "pickle.pth")


def test_unknown_protocol() -> None:
    with pytest.raises(CompetitionError, match="clean, legacy_pytorch, legacy_tensorflow, torchvision, bestiary"):
        load_inception("vgg", CPU)


def test_weights_that_an_embedded_network_would_ignore_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--inception-weights"):
        load_inception("bestiary", CPU, tmp_path / "inception.pth")
    with pytest.raises(UsageError, match="--clip-weights"):
        load_clip("bestiary", None, CPU, tmp_path / "clip.safetensors")


@pytest.mark.parametrize("protocol", ["clean", "legacy_pytorch"])
def test_a_damaged_archive_is_no_bug(protocol: str, tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(4)}, tmp_path / "weights.pt")
    data = (tmp_path / "weights.pt").read_bytes()
    (tmp_path / "weights.pt").write_bytes(data.replace(b"PK\x01\x02", b"XXXX"))  # of its list of files
    with pytest.raises(MissingPart, match=r"weights\.pt is not"):
        load_inception(protocol, CPU, tmp_path / "weights.pt")
