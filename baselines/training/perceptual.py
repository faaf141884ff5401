"""How far apart two pictures look: LPIPS, by its official backbone or by a small network that is embedded here.

LPIPS (Zhang et al., arXiv 1801.03924, equation 1): features of several layers, each place's of length 1, squared
difference, weighted by channel, averaged over the places, summed over the layers. The official one is VGG-16 with
learned weights; its backbone is a download. The embedded network knows nothing but the bestiary and weighs all channels
alike: its distance is no LPIPS and is never called so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from pathlib import Path

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from baselines.weight_files import load_weights, read_object
from submission import MissingPart

EMBEDDED = Path(__file__).resolve().parents[1] / "weights" / "perceptual"
VGG_FILE = "vgg16-397923af.pth"
VGG_URL = f"https://download.pytorch.org/models/{VGG_FILE}"
VGG_TAPS = (4, 9, 16, 23, 30)  # layers of torchvision's `features` after which LPIPS reads: relu1_2 to relu5_3
# Of pictures in -1 … 1, the mean and deviation that torchvision's networks expect in 0 … 1.
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


def perceptual_distance(
    network: FeatureNetwork, images: Float[Tensor, "b 3 h w"], targets: Float[Tensor, "b 3 h w"]
) -> Float32[Tensor, " b"]:
    """Equation 1 of each pair of pictures in -1 … 1. Its gradient reaches `images` alone."""
    with torch.no_grad():
        wanted = [unit_length(layer) for layer in network.features(targets)]
    found = [unit_length(layer) for layer in network.features(images)]
    weights = network.channel_weights or [torch.ones((), device=images.device)] * len(found)
    layers = [
        (weight * (a - b).square()).sum(dim=1).mean(dim=(1, 2))
        for a, b, weight in zip(found, wanted, weights, strict=True)
    ]
    return torch.stack(layers).sum(dim=0)


def unit_length(features: Float[Tensor, "b c h w"]) -> Float32[Tensor, "b c h w"]:
    """Each place's features with length 1; a place without any stays 0, and has a gradient of 0."""
    features = features.float()
    return features / (features.square().sum(dim=1, keepdim=True) + 1e-8).sqrt()


class PerceptualNetwork(nn.Module):
    """Plain convolutions, two at each of the sizes 1, 1/2, 1/4, 1/8, trained to read captions' words from a picture.

    `widths` are the channels at each size; `words` is the size of the head, which training alone needs.
    """

    channel_weights = None  # all alike

    def __init__(self, widths: Sequence[int], words: int = 0) -> None:
        super().__init__()
        self.widths: Sequence[int] = tuple(widths)
        stages = []
        for before, after in pairwise((3, *widths)):
            stride = 1 if before == 3 else 2
            stages.append(nn.Sequential(_block(before, after, stride), _block(after, after, 1)))
        self.stages = nn.ModuleList(stages)
        self.head = nn.Linear(widths[-1], words) if words else None

    def features(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Of pictures in -1 … 1, the last of each size, from fine to coarse."""
        return _after_each(self.stages, images)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b words"]:
        assert self.head is not None, "made without words"
        logits: Tensor = self.head(self.features(images)[-1].mean(dim=(2, 3)))
        return logits


def words_in(text: str) -> set[str]:
    """The words that such a network may read, in lower case."""
    return set(re.findall(r"[a-z]+", text.lower()))


def _block(before: int, after: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU())


def _after_each(stages: Iterable[nn.Module], x: Tensor) -> list[Tensor]:
    return list(accumulate(stages, lambda value, stage: stage(value), initial=x))[1:]


class Lpips(nn.Module):
    """The official LPIPS for optimising: torchvision's VGG-16 (its file: `backbone`), torchmetrics' channel weights."""

    widths = (64, 128, 256, 512, 512)  # the channels of each layer

    def __init__(self, backbone: Path) -> None:
        import torchmetrics
        from torchvision.models import vgg16

        super().__init__()
        with torch.device("meta"):
            network = vgg16(weights=None).features
        network = network.to_empty(device="cpu")
        load_weights(network, backbone, part="features.")
        layers = list(network[: VGG_TAPS[-1]])
        for layer in layers:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False  # a tapped value is read again
        self.stages = nn.ModuleList(nn.Sequential(*layers[a:b]) for a, b in pairwise((0, *VGG_TAPS)))
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1))
        file = Path(torchmetrics.__file__).parent / "functional" / "image" / "lpips_models" / "vgg.pth"
        linear = torch.load(file, map_location="cpu", weights_only=True)
        # What each layer's channels count, (1, c, 1, 1).
        self.channel_weights = nn.ParameterList(linear[f"lin{k}.model.1.weight"] for k in range(len(VGG_TAPS)))
        self.requires_grad_(False)

    def features(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        return _after_each(self.stages, (images - self.get_buffer("shift")) / self.get_buffer("scale"))


# A frozen network whose features a distance or an alignment compares.
FeatureNetwork = PerceptualNetwork | Lpips


def load_perceptual(kind: str, device: torch.device, backbone: Path | None = None) -> FeatureNetwork:
    """A frozen network on `device`: "embedded", or "lpips", whose backbone is `backbone` or torch's own file of it.

    Raises:
        MissingPart: the file is not there. No other network ever takes its place.
        UsageError: it is damaged, or of another network.
    """
    if kind == "lpips":
        path = backbone or Path(torch.hub.get_dir()) / "checkpoints" / VGG_FILE
        get_it = f"download {VGG_URL}, or train with the embedded network (--perceptual embedded), which is no LPIPS"
    else:
        path, get_it = EMBEDDED / "model.safetensors", "restore the file"
    if not path.is_file():
        raise MissingPart(f"the backbone of the perceptual loss ({kind})", looked_for=path, get_it=get_it)
    if kind == "lpips":
        return Lpips(path).to(device).eval().requires_grad_(False)
    network = PerceptualNetwork(read_object(EMBEDDED / "config.json")["widths"])
    load_weights(network, path)
    return network.to(device).eval().requires_grad_(False)
