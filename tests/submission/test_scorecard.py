from __future__ import annotations

import json

import pytest

from submission import Scorecard
from submission.competition import Tier
from submission.judging import judge
from submission.metrics import METRICS
from submission.scorecard import Score

TIERS = (
    Tier("loose", {"fid": 120.0, "clip_i": 0.70, "clip_t": 0.25}),
    Tier("strict", {"fid": 90.0, "clip_i": 0.75, "clip_t": 0.27}),
)


def _card(**changes):
    scores = {"fid": Score(82.6531, 80.0, 85.5), "clip_i": Score(0.8005), "psnr": Score(None, reason="no references")}
    fields = {
        "competition": "tiny",
        "submission": "0" * 64,
        "name": "mine",
        "n": 8,
        "scores": scores,
        "tiers": judge(scores, TIERS),
        "fingerprint": {"protocol": 1, "inception": "clean", "references_sha256": None},
    }
    return Scorecard(**{**fields, **changes})


def test_what_is_written_is_read_back():
    card = _card(accuracy={"body": 0.97}, context={"clip_t_references": 0.31}, manifest={"model": "monster", "seed": 0})
    assert Scorecard.from_json(card.to_json()) == card


def test_the_json_has_the_promised_shape():
    value = json.loads(_card().to_json())
    assert list(value)[:8] == ["competition", "submission", "name", "n", "scores", "tiers", "fingerprint", "notes"]
    assert value["scores"]["fid"] == {"value": 82.6531, "low": 80.0, "high": 85.5}
    assert value["scores"]["psnr"] == {"value": None, "low": None, "high": None, "reason": "no references"}
    assert "accuracy" not in value


def test_metrics_on_request_have_a_place_of_their_own():
    card = _card(extra={"kid": Score(0.01, -0.001, 0.02), "recall": Score(None, reason="no references")})
    value = json.loads(card.to_json())
    assert value["extra"]["kid"] == {"value": 0.01, "low": -0.001, "high": 0.02}
    assert Scorecard.from_json(card.to_json()) == card
    assert "extra" not in json.loads(_card().to_json())
    with pytest.raises(ValueError, match="extra: 'fid'"):
        Scorecard.from_json(card.to_json().replace('"kid"', '"fid"'))


@pytest.mark.parametrize(
    ("score", "close"),
    [(Score(1.0, 0.5, 2.0), True), (Score(1.0, 0.5, 1.4), False), (Score(1.5), False), (Score(1.0, 1.5, 2.0), False)],
)
def test_too_close_is_a_threshold_inside_the_interval(score, close):
    assert score.too_close(1.5) == close


def test_verdicts_on_reported_scores():
    """Scores and tiers as participants of the course reported them: FID 82.65, CLIP-I 0.8005, CLIP-T 0.2916."""
    scores = {"fid": Score(82.6531), "clip_i": Score(0.8005), "clip_t": Score(0.2916)}
    assert [tier.passed for tier in judge(scores, TIERS)] == [True, True]
    worse = judge({**scores, "fid": Score(100.0)}, TIERS)
    assert [tier.passed for tier in worse] == [True, False]
    assert worse[1].checks[0].difference == pytest.approx(10.0)
    assert not worse[1].checks[0].passed
    low = judge({**scores, "clip_t": Score(0.26)}, TIERS)
    assert [tier.passed for tier in low] == [True, False]


def test_a_threshold_that_is_met_exactly_is_passed():
    assert judge({"fid": Score(90.0), "clip_i": Score(0.75), "clip_t": Score(0.27)}, TIERS)[1].passed


def test_a_missing_value_passes_nothing():
    result = judge({"fid": Score(10.0), "clip_i": Score(None, reason="no references")}, TIERS[:1])[0]
    assert not result.passed
    assert [check.difference for check in result.checks] == [-110.0, None, None]


def test_only_fid_is_better_when_lower():
    assert [name for name, metric in METRICS.items() if not metric.higher_is_better] == ["fid"]
    assert list(METRICS) == ["fid", "clip_i", "clip_t", "is", "psnr", "ssim"]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_score_is_finite(number):
    with pytest.raises(ValueError, match="finite"):
        Score(number)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("82.6531", "NaN"),
        ("82.6531", "1e999"),
        ("82.6531", '"82.6531"'),
        ("82.6531", "true"),
        ('"n": 8', '"n": 8.5'),
        ('"n": 8', '"n": 8, "n": 9'),
        ('"notes"', '"comments"'),
        ('"clip_i": {', '"lpips": {'),
    ],
)
def test_other_json_is_refused(old, new):
    text = _card().to_json()
    assert old in text
    with pytest.raises(ValueError, match="not a scorecard"):
        Scorecard.from_json(text.replace(old, new, 1))


def test_the_fingerprint_hash_ignores_the_order_of_keys():
    fingerprint = _card().fingerprint
    turned = _card(fingerprint=dict(reversed(fingerprint.items())))
    assert turned.fingerprint == _card().fingerprint
    assert _card(fingerprint={**fingerprint, "n": 7}).fingerprint != _card().fingerprint


def test_the_date_makes_no_other_scorecard_and_older_ones_are_read():
    dated = _card(created_at="2026-01-31T12:00:00Z", look="a" + "A" * 128)
    assert dated == _card(look="a" + "A" * 128)
    value = json.loads(dated.to_json())
    assert (value["schema_version"], value["created_at"]) == (1, "2026-01-31T12:00:00Z")
    assert Scorecard.from_json(dated.to_json()).created_at == "2026-01-31T12:00:00Z"
    older = {key: item for key, item in value.items() if key not in ("schema_version", "created_at", "look")}
    assert Scorecard.from_json(json.dumps(older)) == _card()


@pytest.mark.parametrize(
    "change", [{"schema_version": 2}, {"created_at": "yesterday"}, {"created_at": 1}, {"look": "A;"}, {"look": ""}]
)
def test_what_a_scorecard_of_this_version_cannot_say_is_refused(change):
    with pytest.raises(ValueError, match="not a scorecard"):
        Scorecard.from_json(json.dumps(json.loads(_card().to_json()) | change))
