"""The command that makes leaderboard/baselines.csv anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import shipped_rows
from leaderboard import board
from submission import Competition, Scorecard
from submission.errors import run
from submission.metrics import METRICS
from submission.scorecard import Score


def card(name: str, fid: float) -> Scorecard:
    """A scorecard as the scorer makes them, of the shipped row's protocol."""
    row = next(row for row in board.read(board.SHIPPED) if row.name == name)
    scores = {metric: replace(row.score(metric), reason=None) for metric in METRICS}
    return Scorecard(
        competition=row.competition,
        submission="0" * 64,
        name=name,
        n=row.n,
        scores={**scores, "fid": Score(fid, fid - 1, fid + 1)},
        tiers=[],
        fingerprint={**row.measured_by, "competition": row.competition, "n": row.n},
        accuracy={"body": 0.5, "colours": 0.25},
        context={"clip_t_shuffled": 0.01},
        families=166,
    )


def test_every_shipped_row_has_its_drawing() -> None:
    assert list(shipped_rows.ROWS) == [row.name for row in board.read(board.SHIPPED)]
    assert {row.competition for row in board.read(board.SHIPPED)} == {shipped_rows.COMPETITION}


def test_rows_are_replaced_in_their_place_and_the_others_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "baselines.csv"
    path.write_bytes(board.SHIPPED.read_bytes())
    before = board.read(path)
    monkeypatch.setattr(shipped_rows, "_card", lambda name, folder, device: card(name, 7.25))
    assert shipped_rows.main(["--only", "noise,vq", "--board", str(path)]) == 0
    after = board.read(path)
    assert [row.name for row in after] == [row.name for row in before]
    for old, new in zip(before, after, strict=True):
        if old.name in ("noise", "vq"):
            assert (new.families, new.numbers["fid"], new.submission_sha256) == (166, 7.25, "0" * 64)
            assert new.fingerprint == old.fingerprint
        else:
            assert new == old
    printed = capsys.readouterr().out
    assert "| noise | 7.25 |" in printed
    assert "2 rows of 11 are new" in printed


def test_an_unknown_row_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shipped_rows.main, ["--only", "noise,nothing"]) == 2
    assert "nothing: the rows are stable" in capsys.readouterr().err


def test_the_readme_table_has_a_column_for_each_cell() -> None:
    head = next(
        line for line in Path("README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| model |")
    )
    made = card("monster", 3.87)
    made = replace(made, accuracy=dict.fromkeys(("body", "colours", "features", "item", "action"), 0.5))
    (line,) = shipped_rows.readme_lines({"monster": made})
    assert line.count("|") == head.count("|")
    assert Competition.load(shipped_rows.COMPETITION).name == "bestiary"
