"""NVIDIA's TorchScript archive of the FID's Inception, rebuilt as a module that runs in half the time."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from scorer.device import exact_float32
from scorer.inception import FEATURES, SIZE, empty_network, folded, state_of_archive
from submission import MissingPart
from submission.hashes import file_sha256

OTHER_LAYOUT = "Inception's archive is not laid out as NVIDIA's; it is run as it is, which takes longer"
TOLERANCE = 1e-4  # of the largest feature; rounding alone leaves about 1e-6


def load_archive(
    path: Path, device: torch.device
) -> tuple[Callable[[Float32[Tensor, "b 3 299 299"]], Float32[Tensor, "b 2048"]], Float64[Tensor, "k 2048"], str]:
    """The network of scaled 299-pixel images, its classifier without bias, and a note when it had to run as it is.

    The rebuilt network is believed only when it agrees with the archive itself on an image. Raises MissingPart for an
    archive that is no Inception.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=Warning)  # torch.jit is deprecated; the archive needs it
        archive = torch.jit.load(path, map_location=device).eval()
    try:
        layers, classifier = archive.layers, archive.output.weight.detach().double()
    except AttributeError:
        raise MissingPart(
            f"{path} (sha256 {file_sha256(path)[:12]}…) has no `layers` and `output`: it is no Inception"
        ) from None

    def as_it_is(pixels: Tensor) -> Tensor:
        return layers(pixels).flatten(1)

    state = state_of_archive(archive.state_dict())
    if state is None:
        return as_it_is, classifier, OTHER_LAYOUT
    network = empty_network(fid=True)
    try:
        network.load_state_dict({name: tensor.cpu() for name, tensor in state.items()}, strict=False)
    except RuntimeError:  # the known names, other shapes
        return as_it_is, classifier, OTHER_LAYOUT
    network = folded(network, device)
    probe = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)).mul_(2).sub_(1).to(device)
    with torch.inference_mode(), exact_float32():
        expected, found = as_it_is(probe), network(probe.contiguous(memory_format=torch.channels_last))
    if found.shape != (1, FEATURES) or (found - expected).abs().max() > TOLERANCE * expected.abs().max():
        return as_it_is, classifier, OTHER_LAYOUT
    return network, classifier, ""
