"""`--precision fast`: near the exact numbers, under another fingerprint, and not for the gate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from leaderboard import entry as gate_entry
from scorer import score
from submission import MissingPart, atomic
from submission.errors import UsageError


def test_fast_is_near_and_never_ranks_with_exact(
    tiny_competition: Callable, tiny_submission: Callable, tmp_path: Path
) -> None:
    competition = tiny_competition(12)
    drawn = tiny_submission(competition)
    exact = score(drawn, competition, "cpu", progress=False)
    fast = score(drawn, competition, "cpu", precision="fast", progress=False)  # nor does one cache answer for the other
    assert fast.fingerprint["inception"] == "bestiary bf16"
    assert fast.fingerprint["clip"] == "bestiary bf16"
    assert fast.fingerprint != exact.fingerprint
    for name, value in exact.scores.items():
        assert fast.scores[name].value == pytest.approx(value.value, rel=0.03, abs=0.01), name
    assert fast.scores["clip_i"] != exact.scores["clip_i"]
    assert fast.scores["psnr"] == exact.scores["psnr"]

    atomic.write_text(tmp_path / "fast.json", fast.to_json())
    with pytest.raises(MissingPart, match="another Inception, CLIP"):
        gate_entry.trusted(tmp_path / "fast.json", drawn, competition)


def test_unknown_precision(tiny_competition: Callable, tiny_submission: Callable) -> None:
    competition = tiny_competition(2)
    with pytest.raises(UsageError, match="exact, fast"):
        score(tiny_submission(competition), competition, "cpu", precision="half", progress=False)
