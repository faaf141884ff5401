"""Inception v3 as it is run: channels last, each batch norm folded into its convolution, from any of its three files.

The FID's network is torchvision's with three differences (Heusel et al. 2017 took it from TensorFlow): the average
pools of its branches do not count the padding, its last block pools by the maximum, and it has 1008 classes. Of
NVIDIA's TorchScript archive the numbers are read; foreign code in it is not run.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from scorer.device import exact_float32
from scorer.networks.torchscript import NotTensors, tensors_of
from submission import MissingPart

SIZE = 299
OTHER_LAYOUT = "Inception's archive is not laid out as NVIDIA's; it is run as it is, which takes longer"
TOLERANCE = 1e-4  # of the largest feature; rounding alone leaves about 1e-6


def _towers(*lengths: int) -> list[str]:
    """The convolutions of a block in NVIDIA's archive, whose branches have so many each."""
    branches = zip(("", "tower.", "tower_1.", "tower_2."), lengths, strict=False)
    return [f"{tower}conv{f'_{i}' if i else ''}" for tower, length in branches for i in range(length)]


_A, _B, _C, _D = _towers(1, 2, 3, 1), _towers(1, 3), _towers(1, 3, 5, 1), _towers(0, 2, 4)
_E = [
    "conv",
    "tower_conv",
    "tower_mixed_conv",
    "tower_mixed_conv_1",
    "tower_1_conv",
    "tower_1_conv_1",
    "tower_1_mixed_conv",
    "tower_1_mixed_conv_1",
    "tower_2_conv",
]
# An archive's convolution is normalised without a scale; eps is 0.001 in all three files.
_TENSORS = {"weight": "conv.weight", "beta": "bn.bias", "mean": "bn.running_mean", "var": "bn.running_var"}


def archive_names() -> dict[str, str]:
    """Each convolution of NVIDIA's archive (inception-2015-12-05.pt) -> its name in torchvision's inception_v3.

    Both have them in the same order.
    """
    from torchvision.models.inception import BasicConv2d

    ours = [f"layers.{name}" for name in _towers(5)]
    for number, block in enumerate((_A, _A, _A, _B, _C, _C, _C, _C, _D, _E, _E)):
        ours += [f"layers.mixed{f'_{number}' if number else ''}.{name}" for name in block]
    theirs = [name for name, part in empty_network(fid=True).named_modules() if isinstance(part, BasicConv2d)]
    return dict(zip(ours, theirs, strict=True))


def state_of_archive(state: Mapping[str, Tensor], *, strict: bool) -> dict[str, Tensor]:
    """The archive's tensors under torchvision's names. Raises NotTensors when the archive is laid out in another way.

    With `strict`, one tensor more in the network is another layout, too.
    """
    names = archive_names()
    expected = {f"{name}.{tensor}" for name in names for tensor in _TENSORS} | {"output.weight", "output.bias"}
    others = {name for name in state.keys() - expected if name.startswith(("layers.", "output."))}
    if not expected <= state.keys() or (strict and others):
        raise NotTensors("its tensors are not those of NVIDIA's Inception")
    result = {"fc.weight": state["output.weight"], "fc.bias": state["output.bias"]}
    for ours, theirs in names.items():
        result |= {f"{theirs}.{name}": state[f"{ours}.{tensor}"] for tensor, name in _TENSORS.items()}
        result[f"{theirs}.bn.weight"] = torch.ones_like(state[f"{ours}.beta"])
    return result


def empty_network(*, fid: bool) -> nn.Module:
    """torchvision's inception_v3 without auxiliary classifier, or the FID's variant of it, without values yet."""
    from cleanfid import inception_pytorch as patched
    from torchvision.models import inception as plain

    a, c, e = plain.InceptionA, plain.InceptionC, plain.InceptionE
    if fid:
        a, c, e = patched.FIDInceptionA, patched.FIDInceptionC, patched.FIDInceptionE_1
    blocks = [plain.BasicConv2d, a, plain.InceptionB, c, plain.InceptionD, e, plain.InceptionAux]
    # Random weights would cost seconds to draw, only to be overwritten.
    with torch.device("meta"):
        network: nn.Module = plain.Inception3(
            1008 if fid else 1000, aux_logits=False, inception_blocks=blocks, init_weights=False
        )
        if fid:
            network.Mixed_7c = patched.FIDInceptionE_2(2048)
    return network.to_empty(device="cpu")


def folded(network: nn.Module, device: torch.device) -> nn.Module:
    """The network in eval mode on `device`, returning features (B, 2048): what the scores need of it, and no more."""
    network.fc = nn.Identity()
    part: Any
    for name, part in list(network.eval().named_modules()):
        if isinstance(getattr(part, "bn", None), nn.BatchNorm2d):
            # In float64, so that folding rounds each weight once.
            convolution = fuse_conv_bn_eval(part.conv.double(), part.bn.double()).float()
            network.set_submodule(name, nn.Sequential(convolution, nn.ReLU(inplace=True)))
    return network.to(device).to(memory_format=torch.channels_last).requires_grad_(False)


def load_archive(
    path: Path, device: torch.device, *, official: str, trusted: bool = False
) -> tuple[nn.Module, Float64[Tensor, "k 2048"], str]:
    """The network of scaled 299-pixel images, its classifier without bias, and a note when it had to run as it is.

    The network is this project's own, and the archive gives its numbers. The archive's code runs only where its
    sha256 is the `official` one, or where it is `trusted`: then the own network is believed when it agrees with the
    archive on an image, and the archive takes its place when not. Raises MissingPart for an archive that is no
    Inception, or can be known as one only by running it.
    """
    data = path.read_bytes()  # what is hashed is what is run
    sha256 = hashlib.sha256(data).hexdigest()
    what, may_run = f"{path} (sha256 {sha256[:12]}…)", trusted or sha256 == official
    try:
        own = _rebuilt(data, device, strict=sha256 != official)
    except NotTensors as error:
        if not may_run:
            raise MissingPart(
                f"{what} is not an Inception that is known here: {error}",
                get_it="download the official file; or say --trust-weights, which runs the code that is inside the "
                "file, with all your rights",
            ) from error
        return *_run(data, device, what), OTHER_LAYOUT
    if may_run:
        as_it_is = _run(data, device, what)
        if not _agree(own[0], as_it_is[0], device):
            return *as_it_is, OTHER_LAYOUT
    return *own, ""


def _rebuilt(data: bytes, device: torch.device, *, strict: bool) -> tuple[nn.Module, Tensor]:
    """The own network with the archive's numbers, and its classifier. Raises NotTensors where they do not fit."""
    state = state_of_archive(tensors_of(io.BytesIO(data)), strict=strict)
    network = empty_network(fid=True)
    try:
        network.load_state_dict({name: tensor.float() for name, tensor in state.items()}, strict=False)
    except RuntimeError as error:  # the known names, other shapes
        raise NotTensors("its tensors have other shapes than those of NVIDIA's Inception") from error
    return folded(network, device), state["fc.weight"].to(device, torch.float64)


def _run(data: bytes, device: torch.device, what: str) -> tuple[nn.Module, Tensor]:
    """The archive's own network and classifier. This runs its code."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=Warning)  # torch.jit is deprecated; the archive needs it
            archive = torch.jit.load(io.BytesIO(data), map_location=device).eval()
        return nn.Sequential(archive.layers, nn.Flatten()), archive.output.weight.detach().double()
    except (AttributeError, RuntimeError):
        raise MissingPart(f"{what} has no `layers` and `output`: it is no Inception") from None


def _agree(network: nn.Module, as_it_is: nn.Module, device: torch.device) -> bool:
    probe = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)).mul_(2).sub_(1).to(device)
    with torch.inference_mode(), exact_float32():
        expected, found = as_it_is(probe), network(probe.contiguous(memory_format=torch.channels_last))
    return found.shape == (1, 2048) and bool((found - expected).abs().max() <= TOLERANCE * expected.abs().max())
