"""python -m scorer.networks.quality: how good the bestiary's backbones are, on references that they never saw.

A metric is worth what its network sees: caption -> picture retrieval, how well matched captions are told from others,
and how often each attribute of a drawn picture is read rightly.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Hashable, Sequence

import numpy as np
import torch
from rich.console import Console
from rich.table import Column, Table
from scipy.stats import mannwhitneyu

from scorer.attributes import attribute_hits
from scorer.decoding import on_device
from scorer.networks import embedded
from scorer.networks.clip import load_clip
from scorer.networks.inception import BestiaryInception
from submission import Competition, CompetitionError
from submission.errors import run

BATCH = 256


def retrieval(text: torch.Tensor, image: torch.Tensor, meanings: Sequence[Hashable]) -> dict[str, float]:
    """Of unit embeddings (N, D), row i of one belonging to row i of the other; of equal meanings only the first counts.

    Two captions of one monster's first and second attack ask for the same picture in other words: no network can tell
    which of the two is meant.

    Returns the fractions of captions whose own picture is the nearest ('R@1') and among the ten nearest ('R@10'), the
    area under the ROC curve of matched against mismatched pairs ('AUC'), and the mean cosines of both.
    """
    distinct = torch.tensor([i for i, meaning in enumerate(meanings) if meanings.index(meaning) == i])
    cosines = (text[distinct] @ image[distinct].T).double()
    own = cosines.diagonal()
    rank = (cosines > own[:, None]).sum(1)
    others = cosines[~torch.eye(len(own), dtype=torch.bool)]
    return {
        "distinct captions": len(own),
        "R@1": (rank < 1).double().mean().item(),
        "R@10": (rank < 10).double().mean().item(),
        "AUC": float(mannwhitneyu(own, others).statistic) / len(own) / len(others),
        "cosine, matched": own.mean().item(),
        "cosine, others": others.mean().item(),
    }


@torch.inference_mode()
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--competition", default="bestiary", help="whose references to look at (default: bestiary)")
    args = parser.parse_args(argv)
    competition = Competition.load(args.competition)
    references, names = competition.references(), [prompt.image_name for prompt in competition.prompts]
    device = torch.device("cpu")
    images = on_device([references.read(name) for name in names], device)
    inception, clip = BestiaryInception(device), load_clip("bestiary", None, device)
    features = torch.cat([inception.features(part) for part in images.split(BATCH)])
    embedded_images = torch.cat([clip.image_features(part) for part in images.split(BATCH)])
    captions = [prompt.text for prompt in competition.prompts]
    table = Table("what", Column("value", justify="right"), title=f"Backbones on {len(images)} references")
    if (attributes := competition.attributes()) is None:
        raise CompetitionError(f"the competition {competition.name!r} does not say what its pictures show")
    meanings = [json.dumps(attributes[name], sort_keys=True) for name in names]
    for what, value in retrieval(clip.text_features(captions), embedded_images, meanings).items():
        table.add_row(what, f"{value:.4f}" if isinstance(value, float) else str(value))
    for what, hits in attribute_hits(inception.attributes(features), attributes, names).items():
        table.add_row(f"{what} accuracy", f"{np.mean(hits):.4f}")
    for part in ("classifier", "clip"):
        table.add_row(f"{part}.safetensors", f"{embedded.weights_file(part).stat().st_size:,} bytes")
    Console().print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
