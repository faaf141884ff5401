"""What no output may replace, by whatever name it is called."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from leaderboard import append, outputs
from leaderboard.__main__ import main
from submission import Scorecard
from submission.errors import UsageError, run


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
            outputs.check({"--json": path, "--csv": None}, {"the board": board})
        assert board.read_text() == "rows", what
    outputs.check({"--json": board.parent / "card.json"}, {"the board": board})


def test_a_board_that_is_not_there_yet(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        outputs.check({"--json": tmp_path / "new.csv"}, {"the board": tmp_path / "x" / ".." / "new.csv"})


def test_two_outputs_and_everything_at_once(board: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    wanted = {"--json": tmp_path / "same", "--csv": tmp_path / "same", "--junit": tmp_path / "images" / "a.xml"}
    with pytest.raises(UsageError) as caught:
        outputs.check(wanted, {"the board": board, "the submission": tmp_path / "images"})
    assert "--csv" in str(caught.value)
    assert "--junit" in str(caught.value)
    outputs.check({"--json": Path(os.devnull), "--csv": Path(os.devnull)}, {"the board": board})


def test_the_table_is_never_written_over_the_board(
    tmp_path: Path, competition, make_card: Callable[..., Scorecard], capsys
) -> None:
    path = tmp_path / "board.csv"
    append(path, make_card())
    before = path.read_bytes()
    words = ["table", "--competition", str(competition.root), "--leaderboard", str(path), "--out"]
    for out in spellings(path).values():
        assert run(main, [*words, str(out)]) == 2
    assert path.read_bytes() == before
    assert "is the board" in capsys.readouterr().err
