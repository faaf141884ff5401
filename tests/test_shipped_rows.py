"""The command that makes leaderboard/baselines.csv anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import shipped_rows
from leaderboard import board
from submission import Scorecard
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
    assert "2 rows of 12 are new" in printed


def test_an_unknown_row_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shipped_rows.main, ["--only", "noise,nothing"]) == 2
    assert "nothing: the rows are stable" in capsys.readouterr().err


def test_the_board_in_the_readme_is_what_the_shipped_rows_give() -> None:
    page = shipped_rows.README.read_text(encoding="utf-8")
    shown = shipped_rows.shipped_board()
    assert "gate: " in shown
    assert shipped_rows.with_board(page, shown) == page, f"the board is now\n{shown}"
    assert "```text\nanother\n```" in shipped_rows.with_board(page, "another\n")


def test_the_table_of_numbers_is_what_the_shipped_rows_say() -> None:
    """The columns that baselines.csv has: the attributes' are printed by the scorer alone."""
    lines = shipped_rows.NUMBERS.read_text(encoding="utf-8").splitlines()
    head = next(line for line in lines if line.startswith("| model |"))
    labels = [cell.strip(" ↑↓") for cell in head.split("|")]
    for row in board.read(board.SHIPPED):
        (line,) = [line for line in lines if line.startswith(f"| {shipped_rows.title(row.name)} |")]
        cells = [cell.strip() for cell in line.split("|")]
        assert len(cells) == len(labels)
        for name, metric in METRICS.items():
            written = cells[labels.index(metric.label)]
            value = row.score(name).value
            assert written == f"{value:.{len(written.partition('.')[2])}f}", (row.name, name)


def test_new_rows_take_their_place_in_the_table_of_numbers() -> None:
    page = shipped_rows.NUMBERS.read_text(encoding="utf-8")
    made = replace(card("glide", 500.0), accuracy=dict.fromkeys(("body", "colours", "features", "item", "action"), 0.5))
    before, after = page.splitlines(), shipped_rows.with_rows(page, {"glide": made}).splitlines()
    changed = [line for line in after if line not in before]
    assert [line[:17] for line in changed] == ["| glide | 500.00 "]
    assert len(after) == len(before)
    place = {line.split("|")[1].strip(): number for number, line in enumerate(after) if line.startswith("|")}
    assert place["clip-guided, pretrained"] < place["glide"] < place["nearest"]
    assert changed[0].count("|") == after[place["monster"]].count("|")
