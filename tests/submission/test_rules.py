"""`[rules]` of a competition: parsed strictly, checked against findings and scores."""

from __future__ import annotations

import pytest

from submission import Competition, CompetitionError
from submission.metrics import METRICS
from submission.rules import Rules
from submission.scorecard import FINDINGS, Finding, Score, Suspicions

HASHES = 'training_hashes = "t.hashes"\n'


def _load(competition, rules: str, hashes: str = HASHES) -> Competition:
    file = competition.root / "competition.toml"
    text = file.read_text()
    file.write_text(text.replace("[backbones]", f"{hashes}[backbones]", 1) + rules)
    return Competition.load(competition.root)


def test_the_table_is_read(tiny_competition) -> None:
    rules = _load(
        tiny_competition(),
        "[rules]\nmax_reference_copies = 0\nmax_training_copies = 10\n[rules.bounds]\nfid = [2, 400.0]\nis = [1, 90]\n",
    ).rules
    assert rules.limits == {"reference_copies": 0, "training_copies": 10}
    assert rules.bounds == {"fid": [2, 400.0], "is": [1, 90]}
    assert Rules().limits == {}
    bounds = {name: [0.5, 1.5] for name in METRICS}
    assert Rules(bounds=bounds).bounds == bounds
    assert {f"max_{name}" for name in FINDINGS} == set(Rules.model_fields) - {"bounds"}


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("[rules]\nmax_copies = 1\n", "rules.max_copies"),
        ("[rules]\nmax_repeats = -1\n", "rules.max_repeats"),
        ("[rules]\nmax_repeats = 1.5\n", "rules.max_repeats"),
        ("[rules]\nmax_repeats = true\n", "rules.max_repeats"),
        ("[rules.bounds]\nlpips = [0, 1]\n", "rules.bounds.lpips"),
        ("[rules.bounds]\nfid = [1]\n", "rules.bounds.fid"),
        ("[rules.bounds]\nfid = [0, inf]\n", "rules.bounds.fid"),
        ("[rules.bounds]\nfid = [5, 1]\n", "the lower bound is above the upper one"),
        ("[rules.bounds]\nfid = { min = 5, max = 1 }\n", "the lower bound is above the upper one"),
        ("[rules.bounds]\nfid = {}\n", "neither a min nor a max"),
        ("[rules.bounds]\nfid = { most = 5 }\n", "rules.bounds.fid.{min, max}.most"),
        ("[rules.bounds]\nfid = { max = inf }\n", "rules.bounds.fid"),
        ("[rules.bounds]\nfid = { max = '5' }\n", "rules.bounds.fid"),
        ("[rules.bounds]\nfid = 5\n", "rules.bounds.fid"),
    ],
)
def test_other_tables_are_refused(tiny_competition, rules: str, words: str) -> None:
    with pytest.raises(CompetitionError) as caught:
        _load(tiny_competition(), rules)
    assert words in str(caught.value)


def test_training_copies_need_hashes(tiny_competition) -> None:
    with pytest.raises(CompetitionError, match="training_hashes"):
        _load(tiny_competition(), "[rules]\nmax_training_copies = 1\n", hashes="")


def test_verdicts() -> None:
    rules = Rules.model_validate(
        {"max_repeats": 2, "max_flat": 0, "max_training_copies": 5, "bounds": {"fid": [3, 9], "clip_t": [0.1, 0.4]}}
    )
    findings = {"repeats": Finding(2), "flat": Finding(1, examples=["0.png"])}
    checks = rules.check(findings, {"fid": Score(1.0), "clip_t": Score(0.4)})
    verdicts = {check.rule: check.passed for check in checks}
    assert verdicts == {
        "max_training_copies": None, "max_repeats": True, "max_flat": False, "bounds.fid": False, "bounds.clip_t": True
    }  # fmt: skip
    suspicions = Suspicions(findings, checks)
    assert [check.rule for check in suspicions.broken] == ["max_flat", "bounds.fid"]
    assert "such as 0.png" in suspicions.broken[0].reason
    assert "too good to be true" in suspicions.broken[1].reason
    missing = rules.check(findings, {"fid": Score(None, reason="no references")})
    assert [check.passed for check in missing[-2:]] == [None, None]
    assert [check.reason for check in rules.check({}, {"fid": Score(9.5)})][-2].startswith("FID 9.50 is worse than")


@pytest.mark.parametrize(
    ("bounds", "value", "said"),
    [
        ({"clip_t": {"max": 0.6}}, 0.05, ""),
        ({"clip_t": {"max": 0.6}}, 0.61, "CLIP-T 0.6100 is too good to be true, above 0.6000"),
        ({"clip_t": {"min": 0.1}}, 0.05, "CLIP-T 0.0500 is worse than anything that works, below 0.1000"),
        ({"clip_t": {"min": 0.1, "max": 0.6}}, 0.6, ""),
        ({"fid": {"min": 3}}, 2.0, "FID 2.00 is too good to be true, below 3.00"),
        ({"fid": {"min": 3}}, 900.0, ""),
    ],
)
def test_a_bound_may_have_one_side(bounds: dict[str, dict[str, float]], value: float, said: str) -> None:
    (check,) = Rules.model_validate({"bounds": bounds}).check({}, {next(iter(bounds)): Score(value)})
    assert (check.passed, check.reason) == (not said, said)
