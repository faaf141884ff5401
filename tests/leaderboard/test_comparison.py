"""The newest entry against the one before it, under the same name and measured alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from leaderboard import Added, append, comparison
from submission import Competition, Scorecard

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def add(tmp_path: Path, make_card: Callable[..., Scorecard]) -> Callable[..., Added]:
    def append_card(hours: int, name: str = "mine", **changes) -> Added:
        card = make_card(name=name, content=f"{name}{hours}", **changes)
        outcome = append(tmp_path / "board.csv", card, START + timedelta(hours=hours))
        assert isinstance(outcome, Added)
        return outcome

    return append_card


def test_each_metric_with_its_direction(add, competition: Competition) -> None:
    assert add(0).last is None
    found = add(1, fid=75.5, clip_i=0.79, ssim=None, psnr=10.001)
    assert comparison.with_last(found.row, found.last, competition.tiers) == (
        "Better than your last of 2026-01-31 12:00 UTC: FID better by 4.50 (80.00 -> 75.50); "
        "CLIP-I worse by 0.0100 (0.8000 -> 0.7900); CLIP-T the same (0.3000); IS the same (4.00); PSNR the same (10.00)"
    )


def test_a_tier_counts_more_than_fid(add, competition: Competition) -> None:
    add(0, fid=80.0)
    lost = add(1, fid=70.0, clip_t=0.1)  # no longer the baseline's
    assert comparison.with_last(lost.row, lost.last, competition.tiers).startswith("Not better than your last")


def test_what_cannot_be_told_is_said(add, competition: Competition) -> None:
    add(0, fid=80.0, fid_interval=(75.0, 85.0))
    close = add(1, fid=79.0, fid_interval=(74.0, 84.0))
    said = comparison.with_last(close.row, close.last, competition.tiers)
    assert "FID better by 1.00 within the 95 % interval (80.00 -> 79.00)" in said


def test_only_what_was_measured_alike_under_the_same_name_is_compared(add) -> None:
    add(0)
    add(1, fid=50.0)
    assert add(2, name="other").last is None
    assert add(3, fingerprint={"inception": "clean"}).last is None
    assert add(4).last.numbers["fid"] == 50.0  # the newest, not the best


def test_the_newest_is_the_one_of_the_latest_time(add, tmp_path: Path) -> None:
    for hours in range(3):
        add(hours, fid=50.0 - hours)
    header, *lines = (tmp_path / "board.csv").read_text().splitlines(keepends=True)
    (tmp_path / "board.csv").write_text("".join([header, *lines[::-1]]))
    assert add(3).last.numbers["fid"] == 48.0


@pytest.mark.parametrize(("before", "now"), [("ok", "suspect"), ("suspect", "ok"), ("suspect", "suspect")])
def test_what_does_not_rank_is_not_better(add, competition: Competition, before: str, now: str) -> None:
    last, row = (dataclasses.replace(add(hours).row, status=status) for hours, status in enumerate((before, now)))
    said = comparison.with_last(row, last, competition.tiers)
    assert said.startswith("Better") == (now == "ok")


def test_the_tiers_of_now_count(add, competition: Competition) -> None:
    add(0, fid=80.0)
    found = add(1, fid=70.0)
    last = dataclasses.replace(found.last, tiers_passed=5, tiers=5)
    assert comparison.with_last(found.row, last, competition.tiers).startswith("Better than your last")
