"""Inception's part in each protocol: features for FID, class probabilities for the Inception Score, in one forward.

What a protocol is, and what it compares with, is in `protocols`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float32, Float64, UInt8
from torch import Tensor, nn

from scorer.device import autocast
from scorer.networks import Backbone, embedded, named, used
from scorer.networks.inception_v3 import SIZE, empty_network, folded, load_archive
from scorer.networks.protocols import PROTOCOLS
from scorer.networks.resize import clean_fid_resize, legacy_pytorch_resize, legacy_tensorflow_resize, squash_resize
from scorer.networks.weight_files import find_weights, is_torchscript, load_state_dict
from submission import CompetitionError, MissingPart
from submission.errors import UsageError
from submission.hashes import file_sha256
from submission.paths import cache_home

# Images of 299 pixels that a network works on together: on a CPU, more of them fall out of its caches.
AT_ONCE = {"cpu": 8}


def find_inception(
    protocol: str, weights: Path | None = None, precision: str = "exact", trusted: bool = False
) -> Backbone[Inception]:
    """The network of `protocol`, found and hashed.

    `weights` is a file to use instead of the standard places; with the precision "fast" it runs in bfloat16, and its
    name says so; the code in `trusted` weights may run. Raises CompetitionError for an unknown protocol, MissingPart
    for weights that are not there, and UsageError for `weights` that the embedded network would ignore.
    """
    if protocol not in PROTOCOLS:
        raise CompetitionError(f"backbones.inception = {protocol!r}: write one of {', '.join(PROTOCOLS)}")
    name = named(protocol, precision)
    if protocol == "bestiary":
        if weights is not None:
            raise UsageError("--inception-weights: the competition's Inception is the embedded one, which has its own")
        return Backbone(name, embedded.sha256("classifier"), lambda device: BestiaryInception(device, name, precision))
    known = PROTOCOLS[protocol]
    what, get_it = f"Inception for the protocol {protocol!r} ({known.weights})", f"download {known.url}"
    places = [cache_home() / known.weights, Path(torch.hub.get_dir()) / "checkpoints" / known.weights]
    path = find_weights(weights, places, what=what, option="--inception-weights", get_it=get_it)
    sha256 = file_sha256(path)
    of_archive = protocol in ("clean", "legacy_tensorflow")  # whose file holds code as well
    key = used(sha256, trusted=True) if trusted and of_archive and sha256 != known.sha256 else sha256
    note = "" if sha256.startswith(known.sha256) else f"Inception's weights are not the official file: {sha256[:12]}…"

    def load(device: torch.device) -> Inception:
        bias, ran = None, ""
        if not of_archive:
            network, classifier, bias = _load_checkpoint(path, what, device, fid=protocol != "torchvision")
        elif is_torchscript(path):
            network, classifier, ran = load_archive(path, device, official=known.sha256, trusted=trusted)
        else:
            raise MissingPart(f"{path} is not the TorchScript archive {known.weights}", get_it=get_it)
        notes = "; ".join(filter(None, (note, ran)))
        return InceptionV3(name, key, _PIXELS[protocol], network, classifier, bias, precision, notes)

    return Backbone(name, key, load)


def load_inception(
    protocol: str, device: torch.device, weights: Path | None = None, *, trusted: bool = False
) -> Inception:
    """`find_inception` and its `load` in one."""
    return find_inception(protocol, weights, trusted=trusted).load(device)


@dataclass(frozen=True)
class InceptionV3:
    """An Inception v3 behind a protocol's own resize and scaling, with the classifier that belongs to it.

    `sha256` is of the weights; `note` says what a reader of the scorecard should know about how it runs, or is empty.
    """

    name: str
    sha256: str
    pixels: Callable[[UInt8[Tensor, "b 3 h w"]], Float32[Tensor, "b 3 299 299"]]
    network: Callable[[Tensor], Tensor]
    classifier: Float64[Tensor, "k 2048"]
    bias: Float64[Tensor, " k"] | None
    precision: str = "exact"
    note: str = ""

    def features(self, images: UInt8[Tensor, "b 3 h w"]) -> Float32[Tensor, "b 2048"]:
        """Features after the last pooling, of images of one size, each independent of its batch."""
        return torch.cat([self._features(part) for part in images.split(AT_ONCE.get(images.device.type, len(images)))])

    def _features(self, images: Tensor) -> Tensor:
        pixels = self.pixels(images).contiguous(memory_format=torch.channels_last)
        with autocast(images.device, self.precision):
            return self.network(pixels).float()

    def log_probabilities(self, features: Float32[Tensor, "n 2048"]) -> Float64[Tensor, "n k"]:
        """Natural logarithms of the class probabilities, on the network's device wherever the features are."""
        features = features.to(self.classifier.device).double()
        logits = features @ self.classifier.T
        return (logits if self.bias is None else logits + self.bias).log_softmax(dim=1)


class BestiaryInception:
    """The classifier that this project trained on the bestiary. Its weights are shipped."""

    note = ""

    def __init__(self, device: torch.device, name: str = "bestiary", precision: str = "exact") -> None:
        self.name, self.sha256 = name, embedded.sha256("classifier")
        self._device, self._precision = device, precision
        self._classifier = embedded.load_classifier(device)

    def features(self, images: UInt8[Tensor, "b 3 h w"]) -> Float32[Tensor, "b d"]:
        """The classifier's features."""
        with autocast(images.device, self._precision):
            return self._classifier.features(squash_resize(images, 64, "bicubic")).float()

    def log_probabilities(self, features: Float32[Tensor, "n d"]) -> Float64[Tensor, "n k"]:
        """Of body plan × colour."""
        return self._classifier.class_probabilities(features.to(self._device)).double().log()

    def attributes(self, features: Float32[Tensor, "n d"]) -> dict[str, list[Any]]:
        """What the classifier sees: each attribute's n predictions, in the form of the competition's attributes."""
        return self._classifier.attributes(features.to(self._device))


Inception = InceptionV3 | BestiaryInception

_PIXELS: dict[str, Callable[[Tensor], Tensor]] = {
    "clean": lambda images: clean_fid_resize(images, SIZE).sub_(128.0).div_(128.0),
    "legacy_pytorch": lambda images: legacy_pytorch_resize(images, SIZE).div_(255.0).mul_(2.0).sub_(1.0),
    "legacy_tensorflow": lambda images: legacy_tensorflow_resize(images, SIZE).sub_(128.0).div_(128.0),
    "torchvision": lambda images: squash_resize(images, SIZE, "bilinear").float().div_(255.0).sub_(0.5).div_(0.5),
}


def _load_checkpoint(
    path: Path, what: str, device: torch.device, *, fid: bool
) -> tuple[nn.Module, Tensor, Tensor | None]:
    network: Any = empty_network(fid=fid)
    state = load_state_dict(path, what=what)
    state = {name: tensor for name, tensor in state.items() if not name.startswith("AuxLogits.")}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        lines = str(error).splitlines()
        raise MissingPart(f"{what}: {path} is of another network: {' '.join(lines[:2])[:300]}") from error
    weight, bias = (tensor.detach().to(device, torch.float64) for tensor in (network.fc.weight, network.fc.bias))
    # Without the bias, as in the first Inception Score code, and so everywhere since; torchvision's is another network.
    return folded(network, device), weight, None if fid else bias
