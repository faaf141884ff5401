"""Marks as the Brainrot homework gives them: half for FID, half for CLIP-T, each at the tier that it reaches itself."""

from __future__ import annotations

import pytest

from submission import Competition, Scorecard
from submission.judging import judge, mark
from submission.scorecard import Score


@pytest.mark.parametrize(
    ("fid", "clip_t", "earned"),
    [
        (40.0, 0.30, (50.0, 50.0)),
        (49.2545, 0.2703, (50.0, 50.0)),  # being equal is enough
        (49.2546, 0.2703, (45.0, 50.0)),
        (60.0, 0.2620, (40.0, 45.0)),
        (80.0, 0.2702, (35.0, 45.0)),
        (90.1, 0.2200, (0.0, 35.0)),
        (45.0, 0.2169, (50.0, 0.0)),
        (300.0, 0.1000, (0.0, 0.0)),
    ],
)
def test_each_metric_earns_its_half_at_its_own_tier(fid: float, clip_t: float, earned: tuple[float, float]) -> None:
    competition = Competition.load("brainrot")
    scores = {"fid": Score(fid), "clip_t": Score(clip_t), "clip_i": Score(None, reason="no reference images")}
    found = mark(scores, competition.tiers, competition.marks)
    assert found is not None
    assert (found.earned["fid"], found.earned["clip_t"]) == pytest.approx(earned)
    assert found.value == pytest.approx(sum(earned))


def test_the_tiers_order_does_not_matter() -> None:
    competition = Competition.load("brainrot")
    scores = {"fid": Score(60.0), "clip_t": Score(0.2620)}
    assert mark(scores, competition.tiers[::-1], competition.marks) == mark(
        scores, competition.tiers, competition.marks
    )


def test_no_mark_without_a_measurement_or_without_marks() -> None:
    competition = Competition.load("brainrot")
    assert mark({"fid": Score(40.0)}, competition.tiers, competition.marks) is None
    unmeasured = {"fid": Score(None, reason="no statistics"), "clip_t": Score(0.3)}
    assert mark(unmeasured, competition.tiers, competition.marks) is None
    maplestory = Competition.load("maplestory")
    assert mark({"fid": Score(40.0)}, maplestory.tiers, maplestory.marks) is None


def test_the_scorecard_keeps_the_mark() -> None:
    competition = Competition.load("brainrot")
    scores = {"fid": Score(60.0), "clip_t": Score(0.2620)}
    card = Scorecard(
        competition="brainrot",
        submission="0" * 64,
        name="mine",
        n=2000,
        scores=scores,
        tiers=judge(scores, competition.tiers),
        fingerprint={"protocol": 1},
        mark=mark(scores, competition.tiers, competition.marks),
    )
    assert card.to_dict()["mark"] == {"value": 85.0, "earned": {"fid": 40.0, "clip_t": 45.0}}
    assert Scorecard.from_json(card.to_json()) == card
