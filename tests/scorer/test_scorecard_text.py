"""The scorecard as text: intervals, metrics on request, and what is too close to tell, within 80 columns."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from scorer.scorecard_text import print_scorecard
from submission import Scorecard
from submission.competition import Tier
from submission.judging import judge
from submission.scorecard import Score


def printed(scores: dict[str, Score], tiers: tuple[Tier, ...] = (), **changes) -> str:
    fingerprint = {"protocol": 1, "inception": "clean", "inception_sha256": "1" * 64, "clip": "tiny", "clip_sha256": ""}
    card = Scorecard(
        competition="tiny", submission="0" * 64, name="mine", n=1063, scores=scores, tiers=judge(scores, tiers),
        fingerprint=fingerprint, **changes,
    )  # fmt: skip
    console = Console(width=80, file=io.StringIO())
    print_scorecard(console, card)
    assert max(map(len, console.file.getvalue().splitlines())) <= 80
    return console.file.getvalue()


def line_of(text: str, start: str) -> str:
    (line,) = [line.strip() for line in text.splitlines() if line.strip().startswith(start)]
    return line


def test_each_score_stands_beside_its_interval() -> None:
    text = printed(
        {"fid": Score(84.2, 82.9, 85.61), "clip_t": Score(0.27), "psnr": Score(None, reason="no references")}
    )
    assert line_of(text, "FID ↓").split() == ["FID", "↓", "84.20", "82.90", "…", "85.61"]
    assert line_of(text, "CLIP-T ↑").split() == ["CLIP-T", "↑", "0.2700"]
    assert "Intervals: " in text
    assert "no references" in text


def test_without_intervals_nothing_is_said_of_them() -> None:
    assert "nterval" not in printed({"fid": Score(84.2)})


def test_what_was_asked_for_beside_the_six_comes_after_them() -> None:
    extra = {"kid": Score(0.0123456, 0.0101, 0.0149), "coverage": Score(0.5)}
    text = printed({"fid": Score(84.2, 82.9, 85.61)}, extra=extra)
    assert line_of(text, "KID ↓").split() == ["KID", "↓", "0.01235", "0.01010", "…", "0.01490"]
    assert text.index("FID") < text.index("KID") < text.index("coverage ↑")


@pytest.mark.parametrize(
    ("fid", "clip_t", "title"),
    [
        (Score(84.2, 82.9, 85.6), Score(0.3, 0.29, 0.31), "tier baseline: passed (cannot tell at N = 1063)"),
        (Score(85.0, 82.9, 85.6), Score(0.3, 0.29, 0.31), "tier baseline: missed (cannot tell at N = 1063)"),
        (Score(84.2, 82.9, 85.6), Score(0.2, 0.19, 0.21), "tier baseline: missed"),  # of one metric it is sure
        (Score(80.0, 79.0, 81.0), Score(0.3, 0.29, 0.31), "tier baseline: passed"),
    ],
)
def test_a_tier_that_is_too_close_to_tell(fid: Score, clip_t: Score, title: str) -> None:
    text = printed({"fid": fid, "clip_t": clip_t}, (Tier("baseline", {"fid": 84.5, "clip_t": 0.27}),))
    assert line_of(text, "tier baseline") == title
    assert text.count("too close to tell") == fid.too_close(84.5)
