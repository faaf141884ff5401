"""Inception's part in each protocol: features for FID, class probabilities for the Inception Score, in one forward.

| protocol    | network                              | images                                  | IS from             |
|-------------|--------------------------------------|-----------------------------------------|---------------------|
| clean       | TF's Inception of 2015, as clean-fid | Pillow bicubic, float, 299; (x−128)/128 | logits without bias |
| torchvision | torchvision's inception_v3, ImageNet | Pillow bilinear, 8-bit, 299; (x−½)/½    | its 1000 classes    |
| bestiary    | a small classifier of the bestiary   | 64 × 64                                 | its own classes     |

Numbers of different protocols cannot be compared, even on the same images.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Protocol

import torch
from jaxtyping import Float32, Float64, UInt8
from torch import Tensor, nn

from scorer.resize import clean_fid_resize, squash_resize
from scorer.weight_files import find_weights, is_torchscript, load_into, load_state_dict
from submission import CompetitionError, MissingPart
from submission.errors import UsageError
from submission.hashes import file_sha256
from submission.paths import cache_home

INCEPTION_SIZE = 299
CLEAN_FID_FILE = "inception-2015-12-05.pt"
CLEAN_FID_URL = f"https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/{CLEAN_FID_FILE}"
TORCHVISION_FILE = "inception_v3_google-0cc3c7bd.pth"
TORCHVISION_URL = f"https://download.pytorch.org/models/{TORCHVISION_FILE}"


class Inception(Protocol):
    """What the scorer needs of a feature network: `name` of the protocol, `sha256` of the weights, two functions."""

    name: str
    sha256: str

    def features(self, images: UInt8[Tensor, "b 3 h w"]) -> Float32[Tensor, "b d"]:
        """Features of uint8 RGB images of one size, each independent of its batch."""
        ...

    def log_probabilities(self, features: Float32[Tensor, "n d"]) -> Float64[Tensor, "n k"]:
        """Natural logarithms of the class probabilities, from the features."""
        ...


def load_inception(protocol: str, device: torch.device, weights: Path | None = None) -> Inception:
    """The network of `protocol`, in eval mode on `device`.

    `weights` is a file to use instead of the standard places. Raises CompetitionError for an unknown protocol,
    MissingPart for weights that are not there or are of another network, UsageError for `weights` that the embedded
    network would ignore.
    """
    if protocol == "clean":
        return CleanInception(device, weights)
    if protocol == "torchvision":
        return TorchvisionInception(device, weights)
    if protocol == "bestiary":
        if weights is not None:
            raise UsageError("--inception-weights: the competition's Inception is the embedded one, which has its own")
        return BestiaryInception(device)
    raise CompetitionError(f"backbones.inception = {protocol!r}: write one of clean, torchvision, bestiary")


class CleanInception:
    """clean-fid's "clean" mode: NVIDIA's TorchScript conversion of the network that FID was defined with."""

    name = "clean"

    def __init__(self, device: torch.device, weights: Path | None = None) -> None:
        from cleanfid.inception_torchscript import InceptionV3W

        path = find_weights(
            weights,
            [cache_home() / CLEAN_FID_FILE],
            what=f"Inception for the protocol 'clean' ({CLEAN_FID_FILE})",
            option="--inception-weights",
            get_it=f"download {CLEAN_FID_URL}",
        )
        if not is_torchscript(path):
            raise MissingPart(
                f"{path} is not the TorchScript archive {CLEAN_FID_FILE}", get_it=f"download {CLEAN_FID_URL}"
            )
        self.sha256 = file_sha256(path)
        # clean-fid takes a folder and expects its own file name in it.
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore", category=Warning)  # torch.jit is deprecated; the archive needs it
            (Path(folder) / CLEAN_FID_FILE).symlink_to(path.resolve())
            self._network = InceptionV3W(folder, download=False).to(device).eval()
        try:
            self._output = self._network.base.output.weight.detach().double()
        except AttributeError:
            raise MissingPart(
                f"{path}: the network has no layer `output`", get_it=f"download {CLEAN_FID_URL}"
            ) from None

    def features(self, images: UInt8[Tensor, "b 3 h w"]) -> Float32[Tensor, "b 2048"]:
        return self._network(clean_fid_resize(images, INCEPTION_SIZE))

    def log_probabilities(self, features: Float32[Tensor, "n 2048"]) -> Float64[Tensor, "n 1008"]:
        # Without the bias, as in the first Inception Score code, and so everywhere since.
        return (features.double() @ self._output.T).log_softmax(dim=1)


class TorchvisionInception:
    """The NYCU course's scorer: torchvision's inception_v3 (IMAGENET1K_V1) with `transform_input=False`."""

    name = "torchvision"

    def __init__(self, device: torch.device, weights: Path | None = None) -> None:
        from torchvision.models import inception_v3

        what = f"Inception for the protocol 'torchvision' ({TORCHVISION_FILE})"
        path = find_weights(
            weights,
            [cache_home() / TORCHVISION_FILE, Path(torch.hub.get_dir()) / "checkpoints" / TORCHVISION_FILE],
            what=what,
            option="--inception-weights",
            get_it=f"download {TORCHVISION_URL}",
        )
        self.sha256 = file_sha256(path)
        # Random weights would cost seconds to draw, only to be overwritten.
        with torch.device("meta"):
            network = inception_v3(weights=None, transform_input=False, aux_logits=False, init_weights=False)
        network.to_empty(device="cpu")
        state = load_state_dict(path, what=what)
        state = {name: tensor for name, tensor in state.items() if not name.startswith("AuxLogits.")}
        load_into(network, state, path, what=what)
        self._classifier = network.fc.to(device).requires_grad_(False)
        network.fc = nn.Identity()
        self._network = network.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)

    def features(self, images: UInt8[Tensor, "b 3 h w"]) -> Float32[Tensor, "b 2048"]:
        pixels = squash_resize(images, INCEPTION_SIZE, "bilinear").float().div_(255.0).sub_(0.5).div_(0.5)
        return self._network(pixels.contiguous(memory_format=torch.channels_last))

    def log_probabilities(self, features: Float32[Tensor, "n 2048"]) -> Float64[Tensor, "n 1000"]:
        return self._classifier(features).double().log_softmax(dim=1)


class BestiaryInception:
    """The classifier that this project trained on the bestiary. Its weights are shipped."""

    name = "bestiary"
    size = 64

    def __init__(self, device: torch.device) -> None:
        from scorer import embedded

        self.sha256 = embedded.sha256("classifier")
        self._classifier = embedded.load_classifier(device)

    def features(self, images: UInt8[Tensor, "b 3 h w"]) -> Float32[Tensor, "b d"]:
        return self._classifier.features(squash_resize(images, self.size, "bicubic"))

    def log_probabilities(self, features: Float32[Tensor, "n d"]) -> Float64[Tensor, "n k"]:
        return self._classifier.class_probabilities(features).double().log()

    def attributes(self, features: Float32[Tensor, "n d"]) -> dict:
        """What the classifier sees: each attribute's n predictions, in the form of the competition's attributes."""
        return self._classifier.attributes(features)
