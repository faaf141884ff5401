"""Every broken or malicious input is refused, or judged, by name and with the right exit code; nothing of it acts.

`python -m benchmarks.hostile` says what the worst of them cost.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections import Counter
from pathlib import Path

import pytest
from hostile_inputs import CASES, Case, competition, honest, weights

from scorer.networks.weight_files import load_state_dict
from submission import MissingPart
from submission.errors import run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links, devices and names of Unix")


def test_there_are_enough_of_each_kind() -> None:
    kinds = Counter(case.kind for case in CASES)
    assert sum(kinds.values()) >= 220
    assert min(kinds.values()) >= 10
    assert len({str(case) for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_refused_or_judged_by_name(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if sys.platform == "darwin" and "UTF-8" in case.name and case.kind == "folder":
        pytest.skip("its file system takes UTF-8 only")
    monkeypatch.setenv("DRAWOFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    competition(tmp_path)
    honest(tmp_path)
    monkeypatch.chdir(tmp_path)
    room, *words = case.make(tmp_path) or ["submission", "validate", "drawn", "--competition", "tiny"]
    code = run(importlib.import_module(f"{room}.__main__").main, words)
    said = "".join(capsys.readouterr())
    assert code == case.code, said
    assert case.said in said
    assert "a bug in drawoff" not in said
    assert "Traceback" not in said
    assert len(said) < 200_000
    assert not (tmp_path / "pwned").exists()
    for acts in ("\x1b", "\u202e", "\x07", "\n::"):
        assert acts not in said


@pytest.mark.parametrize("name", weights.FILES)
@pytest.mark.filterwarnings("ignore")  # what torch says of odd files is its own
def test_odd_weights_are_refused_and_run_nothing(name: str, tmp_path: Path) -> None:
    suffix, data = weights.FILES[name]
    path = tmp_path / f"clip.{suffix}"
    path.write_bytes(data)
    with pytest.raises(MissingPart, match=re.escape(str(path))):
        load_state_dict(path, what="CLIP")
