"""The newest entry against the one before it, under the same name and measured alike."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from leaderboard import Added, append, comparison
from submission import Scorecard

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def add(tmp_path: Path, make_card: Callable[..., Scorecard]) -> Callable[..., Added]:
    def append_card(hours: int, name: str = "mine", **changes) -> Added:
        card = make_card(name=name, content=f"{name}{hours}", **changes)
        outcome = append(tmp_path / "board.csv", card, START + timedelta(hours=hours))
        assert isinstance(outcome, Added)
        return outcome

    return append_card


def test_each_metric_with_its_direction(add) -> None:
    assert add(0).last is None
    found = add(1, fid=75.5, clip_i=0.79, ssim=None, psnr=10.001)
    assert comparison.with_last(found.row, found.last) == (
        "Better than your last of 2026-01-31 12:00 UTC: FID better by 4.50 (80.00 -> 75.50); "
        "CLIP-I worse by 0.0100 (0.8000 -> 0.7900); CLIP-T the same (0.3000); IS the same (4.00); PSNR the same (10.00)"
    )


def test_a_tier_counts_more_than_fid(add) -> None:
    add(0, fid=80.0)
    lost = add(1, fid=70.0, clip_t=0.1)  # no longer the baseline's
    assert comparison.with_last(lost.row, lost.last).startswith("Not better than your last")


def test_what_cannot_be_told_is_said(add) -> None:
    add(0, fid=80.0, fid_interval=(75.0, 85.0))
    close = add(1, fid=79.0, fid_interval=(74.0, 84.0))
    assert "FID better by 1.00 within the 95 % interval (80.00 -> 79.00)" in comparison.with_last(close.row, close.last)


def test_only_what_was_measured_alike_under_the_same_name_is_compared(add) -> None:
    add(0)
    add(1, fid=50.0)
    assert add(2, name="other").last is None
    assert add(3, fingerprint={"inception": "clean"}).last is None
    assert add(4).last.numbers["fid"] == 50.0  # the newest, not the best
