"""What no output may replace, by whatever name it is called."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from submission.atomic import check_kept
from submission.competition import Competition, own_files
from submission.errors import UsageError


@pytest.fixture
def board(tmp_path: Path) -> Path:
    path = tmp_path / "board.csv"
    path.write_text("rows")
    return path


def spellings(board: Path) -> dict[str, Path]:
    folder = board.parent
    (folder / "link.csv").symlink_to(board)
    (folder / "links").symlink_to(folder)
    os.link(board, folder / "hard.csv")
    return {
        "itself": board,
        "a link": folder / "link.csv",
        "a hard link": folder / "hard.csv",
        "through a folder's link": folder / "links" / "board.csv",
        "dots": folder / "." / "links" / ".." / folder.name / "board.csv",
    }


def test_the_board_by_any_name(board: Path) -> None:
    for what, path in spellings(board).items():
        with pytest.raises(UsageError, match=r"--json .* is the board"):
            check_kept({"--json": path, "--csv": None}, {"the board": board})
        assert board.read_text() == "rows", what
    check_kept({"--json": board.parent / "card.json"}, {"the board": board})


def test_a_board_that_is_not_there_yet(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        check_kept({"--json": tmp_path / "new.csv"}, {"the board": tmp_path / "x" / ".." / "new.csv"})


def test_two_outputs_and_everything_at_once(board: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    wanted = {"--json": tmp_path / "same", "--csv": tmp_path / "same", "--junit": tmp_path / "images" / "a.xml"}
    with pytest.raises(UsageError) as caught:
        check_kept(wanted, {"the board": board, "the submission": tmp_path / "images"})
    assert "--csv" in str(caught.value)
    assert "--junit" in str(caught.value)
    check_kept({"--json": Path(os.devnull), "--csv": Path(os.devnull)}, {"the board": board})


def test_a_competitions_own_file_is_the_one_that_was_named(tiny_competition: Callable[..., Competition]) -> None:
    root = tiny_competition(2).root
    other = (root / "competition.toml").rename(root / "exam.toml")
    kept = own_files(other)
    assert kept["the competition's own file"] == other
    assert root / "test.json" in kept.values()
    other.write_text("[competition")
    assert own_files(other) == {"the competition's own file": other}
    assert own_files(root) == {}
