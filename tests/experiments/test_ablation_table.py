"""What the ablations' table says of arms, by scores made for it."""

from __future__ import annotations

import pandas as pd
import pytest

from experiments.ablation_table import markdown, spread, undecided, verdict
from experiments.points import csv_text
from scorer.attributes import ATTRIBUTES


def rows(**fids: list[float]) -> pd.DataFrame:
    """A line for each arm and seed; CLIP-T is a thousandth of 100 - FID, so that both say the same."""
    lines = []
    for arm, values in fids.items():
        for seed, fid in enumerate(values):
            line = {"arm": arm, "what": arm.title(), "seed": seed, "images": 30_000, "prompts": 256}
            scores = {"fid": fid, "clip_t": (100 - fid) / 1000, **dict.fromkeys(ATTRIBUTES, 0.5)}
            for name, value in scores.items():
                line |= {name: value, f"{name}_low": value - 0.1, f"{name}_high": value + 0.1}
            lines.append(line)
    return pd.DataFrame(lines)


PLAIN = [50.0, 51.0, 52.0]


def test_arms_within_twice_the_range_of_the_plain_one_need_more_seeds() -> None:
    table = rows(plain=PLAIN, far=[46.9], near=[47.1], worse=[55.5])
    assert spread(table, "fid") == 2
    assert undecided(table) == ["near"]


@pytest.mark.parametrize(
    ("fids", "said"),
    [
        ([46.9], "better"),
        ([55.1], "worse"),
        ([48.0], "="),  # one seed, too near
        ([48.0, 49.0, 49.9], "better"),
        ([48.0, 49.0, 50.1], "="),  # one is among the plain ones
        ([52.1, 53.0, 54.0], "worse"),
        ([40.0, 45.0, 51.5], "="),  # far in the mean, not on every seed
    ],
)
def test_what_is_said_of_an_arm(fids: list[float], said: str) -> None:
    table = rows(plain=PLAIN, arm=fids)
    assert verdict(table, "arm", "fid") == said
    assert verdict(table, "arm", "clip_t") == said  # which is better when it is higher
    assert verdict(table, "plain", "fid") == ""


def test_the_markdown_has_a_line_for_each_arm_with_means_and_intervals() -> None:
    lines = markdown(rows(plain=PLAIN, arm=[48.0, 49.0, 49.9])).splitlines()
    assert len({line.count("|") for line in lines[:4]}) == 1
    assert lines[2].startswith("| plain | Plain | 3 | 51.00 (50.90 … 51.10) | 0.049 (-0.051 … 0.149) | 0.500 (0.400")
    assert lines[3].endswith("| better, better |")
    assert "over FID 2, CLIP-T 0.002" in lines[-1]


def test_the_csv_has_a_line_for_each_arm_and_seed() -> None:
    assert len(csv_text(rows(plain=PLAIN, arm=[48.0])).splitlines()) == 5
