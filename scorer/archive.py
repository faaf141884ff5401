"""NVIDIA's TorchScript archive of the FID's Inception: its numbers are read, foreign code in it is not run."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float32, Float64
from torch import Tensor, nn

from scorer.device import exact_float32
from scorer.inception import FEATURES, SIZE, empty_network, folded, state_of_archive
from scorer.torchscript import NotTensors, tensors_of
from submission import MissingPart

OTHER_LAYOUT = "Inception's archive is not laid out as NVIDIA's; it is run as it is, which takes longer"
TOLERANCE = 1e-4  # of the largest feature; rounding alone leaves about 1e-6

Network = Callable[[Float32[Tensor, "b 3 299 299"]], Float32[Tensor, "b 2048"]]


def load_archive(
    path: Path, device: torch.device, *, official: str, trusted: bool = False
) -> tuple[Network, Float64[Tensor, "k 2048"], str]:
    """The network of scaled 299-pixel images, its classifier without bias, and a note when it had to run as it is.

    The network is this project's own, and the archive gives its numbers. The archive's code runs only where its
    sha256 is the `official` one, or where it is `trusted`: then the own network is believed when it agrees with the
    archive on an image, and the archive takes its place when not. Raises MissingPart for an archive that is no
    Inception, or can be known as one only by running it.
    """
    data = path.read_bytes()  # what is hashed is what is run
    sha256 = hashlib.sha256(data).hexdigest()
    network, classifier, reason = _rebuilt(data, device, strict=sha256 != official)
    if sha256 != official and not trusted:
        if network is None:
            raise MissingPart(
                f"{path} (sha256 {sha256[:12]}…) is not an Inception that is known here: {reason}",
                get_it="download the official file; or say --trust-weights, which runs the code that is inside the "
                "file, with all your rights",
            )
        return network, classifier, ""
    as_it_is, its_classifier = _run(data, device, f"{path} (sha256 {sha256[:12]}…)")
    if network is None or not _agree(network, as_it_is, device):
        return as_it_is, its_classifier, OTHER_LAYOUT
    return network, classifier, ""


def _rebuilt(data: bytes, device: torch.device, *, strict: bool) -> tuple[nn.Module | None, Tensor, str]:
    """The own network with the archive's numbers and its classifier, or None and the reason why they do not fit."""
    none = torch.empty(0)
    try:
        state = state_of_archive(tensors_of(io.BytesIO(data)), strict=strict)
    except NotTensors as error:
        return None, none, str(error)
    if state is None:
        return None, none, "its tensors are not those of NVIDIA's Inception"
    network = empty_network(fid=True)
    try:
        network.load_state_dict({name: tensor.float() for name, tensor in state.items()}, strict=False)
    except RuntimeError:  # the known names, other shapes
        return None, none, "its tensors have other shapes than those of NVIDIA's Inception"
    return folded(network, device), state["fc.weight"].to(device, torch.float64), ""


def _run(data: bytes, device: torch.device, what: str) -> tuple[Network, Float64[Tensor, "k 2048"]]:
    """The archive's own network and classifier. This runs its code."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=Warning)  # torch.jit is deprecated; the archive needs it
            archive = torch.jit.load(io.BytesIO(data), map_location=device).eval()
        layers, classifier = archive.layers, archive.output.weight.detach().double()
    except (AttributeError, RuntimeError):
        raise MissingPart(f"{what} has no `layers` and `output`: it is no Inception") from None

    def as_it_is(pixels: Tensor) -> Tensor:
        return layers(pixels).flatten(1)

    return as_it_is, classifier


def _agree(network: nn.Module, as_it_is: Network, device: torch.device) -> bool:
    probe = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)).mul_(2).sub_(1).to(device)
    with torch.inference_mode(), exact_float32():
        expected, found = as_it_is(probe), network(probe.contiguous(memory_format=torch.channels_last))
    return found.shape == (1, FEATURES) and bool((found - expected).abs().max() <= TOLERANCE * expected.abs().max())
