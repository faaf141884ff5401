"""The six scores as one would write them with the usual packages: clean-fid, torchmetrics and open_clip, one by one.

Nothing here is made slow on purpose: batches throughout, the networks loaded once, no gradients.
"""

from __future__ import annotations

import json
import warnings
from argparse import Namespace
from pathlib import Path

import numpy as np
import open_clip
import torch
from cleanfid import fid
from cleanfid.features import InceptionV3W
from PIL import Image
from torch import Tensor, nn
from torchmetrics.functional.image import structural_similarity_index_measure as ssim
from torchmetrics.image import PeakSignalNoiseRatio
from torchmetrics.image.inception import InceptionScore


class Logits(nn.Module):
    """clean-fid's Inception as torchmetrics' InceptionScore takes a network of one's own."""

    def __init__(self, network: InceptionV3W) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        resized = nn.functional.interpolate(images.float(), (299, 299), mode="bilinear", antialias=True)
        logits: Tensor = self.network(resized) @ self.network.base.output.weight.T
        return logits


@torch.no_grad()
def scores(competition: Path, entry: Path, inception: Path, clip_weights: Path, options: Namespace) -> dict[str, float]:
    """FID, CLIP-I, CLIP-T, IS, PSNR and SSIM of the folder `entry`, with the two weight files and `benchmarks.scorer`'s
    options."""
    device, batch, clip = options.device, options.batch_size, options.clip
    warnings.simplefilter("ignore")
    prompts = json.loads((competition / "test.json").read_text()).values()
    text_of = {prompt["image_name"]: prompt["text_prompt"] for prompt in prompts}
    names = list(text_of)
    references = competition / "references"
    result: dict[str, float] = {}

    network = InceptionV3W(str(inception.parent), download=False).to(device)
    result["fid"] = fid.compute_fid(
        str(entry), str(references), mode="clean", custom_feat_extractor=network, device=torch.device(device),
        num_workers=options.workers, batch_size=batch, verbose=False,
    )  # fmt: skip

    metric = InceptionScore(feature=Logits(network)).to(device)
    for part in _parts(names, batch):
        metric.update(_pixels(entry, part).to(device))
    result["is"] = float(metric.compute()[0])

    psnr = PeakSignalNoiseRatio(data_range=1.0, reduction="none", dim=(1, 2, 3)).to(device)
    similarity = []
    for part in _parts(names, batch):
        a, b = (_pixels(folder, part).to(device) / 255.0 for folder in (entry, references))
        psnr.update(a, b)
        of_each = ssim(a, b, data_range=1.0, reduction="none")
        assert isinstance(of_each, Tensor)
        similarity.append(of_each)
    result["psnr"], result["ssim"] = float(psnr.compute().mean()), float(torch.cat(similarity).mean())

    model, _, transform = open_clip.create_model_and_transforms(
        options.clip, pretrained=str(clip_weights), device=device
    )
    model.eval()
    tokenizer = open_clip.get_tokenizer(clip)
    cosines: dict[str, list[float]] = {"clip_i": [], "clip_t": []}
    for part in _parts(names, batch):
        texts = model.encode_text(tokenizer([text_of[name] for name in part]).to(device), normalize=True)
        both = (torch.stack([transform(Image.open(folder / name)) for name in part]) for folder in (entry, references))
        images, pairs = (model.encode_image(pixels.to(device), normalize=True) for pixels in both)
        cosines["clip_i"] += (images * pairs).sum(1).tolist()
        cosines["clip_t"] += (images * texts).sum(1).tolist()
    return result | {name: float(np.mean(values)) for name, values in cosines.items()}


def _parts(names: list[str], size: int) -> list[list[str]]:
    return [names[i : i + size] for i in range(0, len(names), size)]


def _pixels(folder: Path, names: list[str]) -> Tensor:
    images = [np.asarray(Image.open(folder / name).convert("RGB")) for name in names]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
