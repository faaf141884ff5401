"""What FID's interval is of: other prompts with their own references, and not other prompts with these references.

Redrawn monsters of the bestiary, 4 prompts each, and features of the shipped network: of a reference for each prompt
and of a picture by a worse artist. The prompts fall into halves, by monster, again and again.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from PIL import Image

from competitions.bestiary.artist.draw import draw
from competitions.bestiary.artist.world import population
from scorer.confidence import jackknife, t_quantile
from scorer.families import Families
from scorer.frechet import FrechetDistance, PairedFrechetDistance, feature_statistics, frechet_distance
from scorer.networks.inception import BestiaryInception

MONSTERS, HALVES = 60, 24
ACTIONS = ("main", "attack", "die", "move")


@cache
def material() -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Features (N, 176) of images and of their references, and the monster of each."""
    references, images, monsters = [], [], []
    for number, monster in enumerate(population("halves", MONSTERS, set())):
        for action in ACTIONS:
            references.append(draw(monster, action, f"{number}/{action}/0"))
            again = Image.fromarray(draw(monster, action, f"{number}/{action}/1"))
            images.append(np.asarray(again.resize((20, 20), Image.Resampling.BOX).resize((64, 64))))
            monsters.append(number)
    network = BestiaryInception(torch.device("cpu"))

    def features(pixels: list[np.ndarray]) -> torch.Tensor:
        batch = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous()
        with torch.inference_mode():
            return torch.cat([network.features(part) for part in batch.split(64)])

    return features(images), features(references), np.array(monsters)


def test_halves_of_the_prompts_agree_with_the_interval_when_each_has_its_own_references() -> None:
    images, references, monsters = material()
    rng = np.random.default_rng(0)
    values, errors, inside, others_inside = [], [], 0, 0
    for _ in range(HALVES):
        chosen = np.isin(monsters, rng.permutation(MONSTERS)[: MONSTERS // 2])
        rows, others = (torch.from_numpy(np.flatnonzero(part)) for part in (chosen, ~chosen))
        x, y = images[rows], references[rows]
        families = Families(monsters[chosen])
        distance = PairedFrechetDistance(FrechetDistance(x, *feature_statistics(y)), y)
        value, low, high = jackknife(distance.without, families)
        values.append(value)
        errors.append((high**0.5 - low**0.5) / 2 / t_quantile(19))
        own = frechet_distance(images[others], *feature_statistics(references[others]))
        # Of two halves the difference has twice the variance.
        inside += abs(own**0.5 - value**0.5) <= 2**0.5 * t_quantile(19) * errors[-1]
        others_inside += low <= frechet_distance(images[others], *feature_statistics(y)) <= high
    spread = float(np.std(np.sqrt(values), ddof=1))
    # Halves of one set share it, so they differ more than independent draws do: by up to the root of 2.
    assert 0.5 < np.mean(errors) / spread < 2
    assert inside >= 0.8 * HALVES
    assert others_inside == 0


def test_leaving_out_images_alone_would_be_of_something_else() -> None:
    """With the references fixed, a family's images leave a hole: the interval is several times too wide."""
    images, references, monsters = material()
    families, statistics = Families(monsters), feature_statistics(references)
    widths = []
    fixed = FrechetDistance(images, *statistics)
    for distance in (PairedFrechetDistance(fixed, references), fixed):
        _, low, high = jackknife(distance.without, families)
        widths.append(high - low)
    assert widths[1] > 1.5 * widths[0]
