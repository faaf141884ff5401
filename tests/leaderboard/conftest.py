"""A small competition, and scorecards made by hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
from tiny_competition import toml

from leaderboard.row import Row, frame_of
from submission.competition import Competition
from submission.judging import judge
from submission.scorecard import Score, Scorecard

COMPETITION = toml(title="Tiny") + '[[tiers]]\nname = "gold"\nfid = 50.0\n'


def entries(local: Sequence[Row], shipped: Sequence[Row] = ()) -> pd.DataFrame:
    """The rows as `leaderboard.entries` gives them."""
    parts = [frame_of(rows).assign(shipped=ours) for rows, ours in ((shipped, True), (local, False)) if rows]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(name="entries")
def _entries() -> Callable[..., pd.DataFrame]:
    return entries


@pytest.fixture
def competition(tmp_path: Path) -> Competition:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "competition.toml").write_text(COMPETITION)
    prompts = {
        f"{number}_main": {
            "image_name": f"{number}_main.png",
            "given_description": f"Monster {number}.",
            "action_description": "",
            "text_prompt": f"Monster {number}.",
        }
        for number in range(3)
    }
    (folder / "test.json").write_text(json.dumps(prompts))
    return Competition.load(folder)


@pytest.fixture
def make_card(competition: Competition) -> Callable[..., Scorecard]:
    """A scorecard of the tiny competition; `content` stands for the submission's bytes."""

    def make(name: str = "monster", content: str = "a", fid_interval: tuple = (None, None), **changes) -> Scorecard:
        n = changes.pop("n", 3)
        values = {"fid": 80.0, "clip_i": 0.8, "clip_t": 0.3, "is": 4.0, "psnr": 10.0, "ssim": 0.5}
        values |= {key: changes.pop(key) for key in values if key in changes}
        scores = {key: Score(value, reason="no references" if value is None else None) for key, value in values.items()}
        scores["fid"] = Score(values["fid"], *fid_interval, reason=scores["fid"].reason)
        fingerprint = {
            "protocol": 1,
            "competition": competition.name,
            "inception": "bestiary",
            "inception_sha256": "1" * 64,
            "clip": "bestiary",
            "clip_sha256": "2" * 64,
            "references_sha256": "3" * 64,
            "prompts_sha256": competition.prompts_sha256,
            "n": n,
            **changes.pop("fingerprint", {}),
        }
        return Scorecard(
            competition=competition.name,
            submission=hashlib.sha256(content.encode()).hexdigest(),
            name=name,
            n=n,
            scores=scores,
            tiers=judge(scores, competition.tiers),
            fingerprint=fingerprint,
            manifest={"model": "monster", "seed": 0},
            **changes,
        )

    return make
