"""The text of a small competition, and a picture of it."""

from __future__ import annotations

import json

import numpy as np

SIDE = 64
MARKS = {"fid": 90.0, "clip_i": 0.75, "clip_t": 0.27}  # of the tier "baseline"


def toml(prompts: str = "test.json", marks: dict[str, float] = MARKS, **more: object) -> str:
    """The competition.toml of "tiny", with `more` keys of its first table."""
    lines = ["[competition]", 'name = "tiny"', f'prompts = "{prompts}"', 'gate = "baseline"']
    lines += [f"{key} = {json.dumps(value)}" for key, value in more.items()]
    lines += ["[backbones]", 'inception = "bestiary"', 'clip = "bestiary"', "[[tiers]]", 'name = "baseline"']
    return "\n".join([*lines, *(f"{metric} = {mark}" for metric, mark in marks.items()), ""])


def picture(seed: int, size: int = SIDE) -> np.ndarray:
    """A blob on white, (size, size, 3) uint8: smooth enough to be a picture, another one for each seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] * 64 / size
    inside = np.hypot(y - rng.uniform(24, 40), x - rng.uniform(24, 40)) < rng.uniform(10, 22)
    return np.where(inside[..., None], rng.integers(0, 255, 3), 255).astype(np.uint8)
