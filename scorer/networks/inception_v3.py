"""Inception v3 as it is run: channels last, each batch norm folded into its convolution, from any of its three files.

The FID's network is torchvision's with three differences (Heusel et al. 2017 took it from TensorFlow): the average
pools of its branches do not count the padding, its last block pools by the maximum, and it has 1008 classes. Of
NVIDIA's TorchScript archive the numbers are read; foreign code in it is not run.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from scorer.device import exact_float32
from scorer.networks.torchscript import NotTensors, tensors_of
from submission import MissingPart

SIZE = 299
FEATURES = 2048
FID_CLASSES = 1008
OTHER_LAYOUT = "Inception's archive is not laid out as NVIDIA's; it is run as it is, which takes longer"
TOLERANCE = 1e-4  # of the largest feature; rounding alone leaves about 1e-6

Network = Callable[[Float32[Tensor, "b 3 299 299"]], Float32[Tensor, "b 2048"]]


def _parts(*branches: tuple[str, ...]) -> dict[str, str]:
    """The convolutions of a block's branches: their names in NVIDIA's archive -> torchvision's."""
    return {
        f"{tower}conv{f'_{number}' if number else ''}": name
        for tower, branch in zip(("", "tower.", "tower_1.", "tower_2."), branches, strict=False)
        for number, name in enumerate(branch)
    }


_STEM = _parts(("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"))
_DOUBLE_3X3 = ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")
_A = _parts(("branch1x1",), ("branch5x5_1", "branch5x5_2"), _DOUBLE_3X3, ("branch_pool",))
_B = _parts(("branch3x3",), _DOUBLE_3X3)
_C = _parts(
    ("branch1x1",),
    ("branch7x7_1", "branch7x7_2", "branch7x7_3"),
    ("branch7x7dbl_1", "branch7x7dbl_2", "branch7x7dbl_3", "branch7x7dbl_4", "branch7x7dbl_5"),
    ("branch_pool",),
)
_D = _parts((), ("branch3x3_1", "branch3x3_2"), ("branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3", "branch7x7x3_4"))
_E = {
    "conv": "branch1x1",
    "tower_conv": "branch3x3_1",
    "tower_mixed_conv": "branch3x3_2a",
    "tower_mixed_conv_1": "branch3x3_2b",
    "tower_1_conv": "branch3x3dbl_1",
    "tower_1_conv_1": "branch3x3dbl_2",
    "tower_1_mixed_conv": "branch3x3dbl_3a",
    "tower_1_mixed_conv_1": "branch3x3dbl_3b",
    "tower_2_conv": "branch_pool",
}
# In their order: the archive's mixed, mixed_1, mixed_2 …
_BLOCKS = (
    ("5b", _A), ("5c", _A), ("5d", _A), ("6a", _B), ("6b", _C), ("6c", _C), ("6d", _C), ("6e", _C), ("7a", _D),
    ("7b", _E), ("7c", _E),
)  # fmt: skip
# An archive's convolution is normalised without a scale; eps is 0.001 in all three files.
_TENSORS = {"weight": "conv.weight", "beta": "bn.bias", "mean": "bn.running_mean", "var": "bn.running_var"}


def archive_names() -> dict[str, str]:
    """Each convolution of NVIDIA's archive (inception-2015-12-05.pt) -> its name in torchvision's inception_v3."""
    names = {f"layers.{ours}": theirs for ours, theirs in _STEM.items()}
    for number, (block, parts) in enumerate(_BLOCKS):
        mixed = f"mixed_{number}" if number else "mixed"
        names |= {f"layers.{mixed}.{part}": f"Mixed_{block}.{branch}" for part, branch in parts.items()}
    return names


def state_of_archive(state: Mapping[str, Tensor], *, strict: bool = True) -> dict[str, Tensor] | None:
    """The archive's tensors under torchvision's names, or None when the archive is laid out in another way.

    With `strict`, one tensor more in the network is another layout, too.
    """
    names = archive_names()
    expected = {f"{name}.{tensor}" for name in names for tensor in _TENSORS} | {"output.weight", "output.bias"}
    others = {name for name in state.keys() - expected if name.startswith(("layers.", "output."))}
    if not expected <= state.keys() or (strict and others):
        return None
    result = {"fc.weight": state["output.weight"], "fc.bias": state["output.bias"]}
    for ours, theirs in names.items():
        result |= {f"{theirs}.{name}": state[f"{ours}.{tensor}"] for tensor, name in _TENSORS.items()}
        result[f"{theirs}.bn.weight"] = torch.ones_like(state[f"{ours}.beta"])
    return result


def empty_network(*, fid: bool) -> nn.Module:
    """torchvision's inception_v3 without auxiliary classifier, or the FID's variant of it, without values yet."""
    from torchvision.models import inception_v3

    # Random weights would cost seconds to draw, only to be overwritten.
    with torch.device("meta"):
        options = {"transform_input": False, "aux_logits": False, "init_weights": False}
        network: nn.Module = inception_v3(weights=None, num_classes=FID_CLASSES if fid else 1000, **options)
        if fid:
            from cleanfid import inception_pytorch as patched

            network.Mixed_5b = patched.FIDInceptionA(192, pool_features=32)
            network.Mixed_5c = patched.FIDInceptionA(256, pool_features=64)
            network.Mixed_5d = patched.FIDInceptionA(288, pool_features=64)
            network.Mixed_6b = patched.FIDInceptionC(768, channels_7x7=128)
            network.Mixed_6c = patched.FIDInceptionC(768, channels_7x7=160)
            network.Mixed_6d = patched.FIDInceptionC(768, channels_7x7=160)
            network.Mixed_6e = patched.FIDInceptionC(768, channels_7x7=192)
            network.Mixed_7b = patched.FIDInceptionE_1(1280)
            network.Mixed_7c = patched.FIDInceptionE_2(2048)
    return network.to_empty(device="cpu")


class Convolution(nn.Module):
    """A convolution that its batch norm was folded into, and the ReLU."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k i j"]:
        return torch.relu_(self.convolution(x))


def folded(network: nn.Module, device: torch.device) -> nn.Module:
    """The network in eval mode on `device`, returning features (B, 2048): what the scores need of it, and no more."""
    network.fc = nn.Identity()
    _fold(network.eval())
    return network.to(device).to(memory_format=torch.channels_last).requires_grad_(False)


def _fold(module: nn.Module) -> None:
    child: Any
    for name, child in module.named_children():
        if isinstance(getattr(child, "bn", None), nn.BatchNorm2d):
            # In float64, so that folding rounds each weight once.
            convolution = fuse_conv_bn_eval(child.conv.double(), child.bn.double()).float()
            setattr(module, name, Convolution(convolution))
        else:
            _fold(child)


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
        features: Tensor = layers(pixels)
        return features.flatten(1)

    return as_it_is, classifier


def _agree(network: nn.Module, as_it_is: Network, device: torch.device) -> bool:
    probe = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)).mul_(2).sub_(1).to(device)
    with torch.inference_mode(), exact_float32():
        expected, found = as_it_is(probe), network(probe.contiguous(memory_format=torch.channels_last))
    return found.shape == (1, FEATURES) and bool((found - expected).abs().max() <= TOLERANCE * expected.abs().max())
