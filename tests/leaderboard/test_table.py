"""The table for a paper: which entries, which numbers, and text that cannot break the table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from leaderboard import board, table
from leaderboard.__main__ import main
from leaderboard.ranking import Group, rank
from leaderboard.row import frame_of, from_scorecard
from submission import Scorecard
from submission.errors import run


def groups_of(*cards: Scorecard, shipped: Sequence[Scorecard] = ()) -> list[Group]:
    """The cards as the entries of one board, ranked."""
    parts = [
        frame_of(map(from_scorecard, some)).assign(shipped=ours) for some, ours in ((shipped, True), (cards, False))
    ]
    return rank(pd.concat([part for part in parts if len(part)], ignore_index=True))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def study(make_card):
    """The 2023 comparison of four generators on 10,000 images of COCO 2014, as entries of one board."""
    table = {
        "GLIDE (classifier guidance)": (24.64, 44.18, 0.1750, 8.37, 0.13),
        "GLIDE (classifier-free)": (14.21, 98.21, 0.1729, 8.66, 0.04),
        "VQ-Diffusion": (24.29, 37.04, 0.2946, 8.41, 0.12),
        "Stable Diffusion": (31.74, 19.83, 0.2956, 8.54, 0.13),
    }
    names = ("is", "fid", "clip_t", "psnr", "ssim")
    return [make_card(model, content=model, **dict(zip(names, values, strict=True))) for model, values in table.items()]


def test_the_markdown_is_the_study_s_table(study) -> None:
    lines = table.markdown(groups_of(*study)).splitlines()
    assert lines[0] == "| model | IS ↑ | FID ↓ | CLIP ×100 ↑ | PSNR ↑ | SSIM ↑ |"
    assert lines[2] == "| Stable Diffusion | 31.74 | 19.83 | 29.56 | 8.54 | 0.1300 |"
    assert [line.split(" | ")[2] for line in lines[2:6]] == ["19.83", "37.04", "44.18", "98.21"]
    assert len({line.count("|") for line in lines[:6]}) == 1


def test_the_csv_keeps_every_digit(make_card) -> None:
    (row,) = rows(table.as_csv(groups_of(make_card(fid=12.345678901234, clip_t=-0.0123456789))))
    assert (float(row["fid"]), float(row["clip_t"])) == (12.345678901234, -0.0123456789)
    assert (row["model"], row["competition"], row["n"], row["inception"]) == ("monster", "tiny", "3", "bestiary")


def test_what_was_not_measured_is_not_a_number(make_card) -> None:
    groups = groups_of(make_card(psnr=None, ssim=None))
    assert table.markdown(groups).splitlines()[2].endswith("| 30.00 | – | – |")
    assert (rows(table.as_csv(groups))[0]["psnr"]) == ""


def test_what_another_protocol_measured_is_a_table_of_its_own(make_card) -> None:
    other = make_card("other", content="b", fingerprint={"inception": "clean", "inception_sha256": "9" * 64})
    groups = groups_of(make_card(), other)
    text = table.markdown(groups)
    assert text.count("| model |") == 2
    assert "Inception clean" in text.split("| model |")[2]
    assert len({row["fingerprint"] for row in rows(table.as_csv(groups))}) == 2


def test_a_local_entry_is_told_from_the_shipped_one_of_its_name(make_card) -> None:
    groups = groups_of(make_card(content="b", fid=14.0), shipped=[make_card(fid=13.0)])
    assert [row["model"] for row in rows(table.as_csv(groups))] == ["monster", "monster (scored here)"]


def test_a_name_cannot_break_the_table_or_run_in_a_spreadsheet(make_card) -> None:
    groups = groups_of(make_card("=1+1|<b>x</b>"))
    line = table.markdown(groups).splitlines()[2]
    assert line.replace("\\|", "").count("|") == 7
    assert "<b>" not in line
    assert rows(table.as_csv(groups))[0]["model"].startswith("'=")


def test_the_command_writes_the_file_that_is_asked_for(competition, make_card, tmp_path: Path, capsys) -> None:
    local = tmp_path / "leaderboard.csv"
    common = ["table", "--competition", str(competition.root), "--leaderboard", str(local)]
    assert run(main, common) == 4
    assert "the board has no entry of tiny" in capsys.readouterr().err
    board.append(local, make_card())
    assert run(main, common) == 0
    assert "| monster | 4.00 | 80.00 | 30.00 |" in capsys.readouterr().out
    out = tmp_path / "table.csv"
    assert run(main, [*common, "--format", "csv", "--out", str(out)]) == 0
    assert rows(out.read_text())[0]["model"] == "monster"


def test_it_is_never_written_over_what_is_kept(competition, make_card, tmp_path: Path, capsys) -> None:
    path = tmp_path / "board.csv"
    board.append(path, make_card())
    (tmp_path / "link.csv").symlink_to(path)
    before = path.read_bytes()
    words = ["table", "--competition", str(competition.root), "--leaderboard", str(path), "--out"]
    own = [competition.root / "competition.toml", competition.root / "test.json"]
    for out in (path, tmp_path / "link.csv", tmp_path / "board.history.csv", *own):
        assert run(main, [*words, str(out)]) == 2
        assert "is the " in capsys.readouterr().err
    assert path.read_bytes() == before
    assert own[0].read_text().startswith("[competition]")
