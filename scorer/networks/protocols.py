"""The protocols: what stands behind `inception = …` in a competition, and which published numbers each compares with.

A FID is a property of the network, of its weights and of the resize before it, as much as of the images. Numbers of
different protocols cannot be compared, even on the same images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Protocol:
    """How one protocol sees an image: as `features` numbers. `weights`: the official file; `url`: where it is, if not
    shipped; `sha256`: its hash, or as much of it as its publisher tells."""

    network: str
    images: str
    classes: str
    weights: str
    url: str | None
    comparable_to: str
    features: int = 2048
    sha256: str = ""


_CLEAN = Protocol(
    network="TensorFlow's Inception of 2015, 2048 features after the last pooling",
    images="Pillow bicubic on float channels to 299 × 299, not rounded; (x − 128) / 128",
    classes="its 1008 logits without bias",
    weights="inception-2015-12-05.pt",
    url="https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt",
    comparable_to='clean-fid, mode="clean", and papers that name it (Parmar et al., CVPR 2022)',
    # As k-diffusion pins the file that NVIDIA publishes (k_diffusion/evaluation.py).
    sha256="f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
)

PROTOCOLS: dict[str, Protocol] = {
    "clean": _CLEAN,
    "legacy_pytorch": Protocol(
        network=f"{_CLEAN.network}, as ported by pytorch-fid",
        images="PyTorch's bilinear, without antialiasing, to 299 × 299, not rounded; x / 127.5 − 1",
        classes=_CLEAN.classes,
        weights="pt_inception-2015-12-05-6726825d.pth",
        url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        comparable_to='clean-fid, mode="legacy_pytorch", and pytorch-fid: most PyTorch papers since 2018',
        sha256="6726825d",  # of its name, which torch.hub's convention makes the hash's beginning
    ),
    "legacy_tensorflow": replace(
        _CLEAN,
        images="TensorFlow 1's bilinear, inside the network, to 299 × 299, without antialiasing; (x − 128) / 128",
        comparable_to='clean-fid, mode="legacy_tensorflow", TTUR\'s first FID code, StyleGAN, ADM',
    ),
    "torchvision": Protocol(
        network="torchvision's inception_v3, IMAGENET1K_V1, transform_input=False, 2048 features",
        images="Pillow bilinear on 8-bit images to 299 × 299; (x / 255 − ½) / ½",
        classes="its 1000 classes",
        weights="inception_v3_google-0cc3c7bd.pth",
        url="https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
        comparable_to="the NYCU course's scorer; no published FID, whose network has other weights",
        sha256="0cc3c7bd",  # of its name, likewise
    ),
    "bestiary": Protocol(
        network="a small classifier of the bestiary, 176 features",
        images="64 × 64 as they are (other sizes: Pillow bicubic, 8-bit); x / 127.5 − 1",
        classes="its own classes, body plan × colour",
        weights="classifier.safetensors, shipped",
        url=None,
        comparable_to="nothing but other entries of the bestiary",
        features=176,
    ),
}


def explanation() -> str:
    """Every protocol for a reader: `python -m scorer protocols`."""
    rows = ("network", "images", "classes", "weights", "sha256", "url", "comparable_to")
    labels = ("network", "images", "IS from", "weights", "sha256", "get it", "compares with")
    parts = [
        "Write one of these as `inception` in the [backbones] of a competition.toml. FIDs of different protocols",
        "cannot be compared, even on the same images; nor can those of different numbers of images.",
    ]
    for name, protocol in PROTOCOLS.items():
        parts += ["", name]
        values = ((label, getattr(protocol, row)) for label, row in zip(labels, rows, strict=True))
        parts += [f"  {label:<14}{value}" for label, value in values if value]
    return "\n".join(parts)
