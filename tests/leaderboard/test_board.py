"""The board's file: what is appended is there once, whole, and read strictly."""

from __future__ import annotations

import cProfile
import csv
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from leaderboard import SHIPPED, Added, AlreadyThere, BoardError, NotAdded, append, editing, entries, rank, read, show
from leaderboard.__main__ import main
from leaderboard.columns import COLUMNS
from submission import Competition, Scorecard
from submission.csv_text import FORMULA
from submission.errors import UsageError

MakeCard = Callable[..., Scorecard]

# Appends scorecards, one after another, and says so once each row is on the board.
WRITER = """
import dataclasses, hashlib, sys
from pathlib import Path
from leaderboard import Added, append
from submission.scorecard import Scorecard
card = Scorecard.from_json(Path(sys.argv[1]).read_bytes())
for number in range(int(sys.argv[4])):
    content = hashlib.sha256(f"{sys.argv[3]}/{number}".encode()).hexdigest()
    outcome = append(sys.argv[2], dataclasses.replace(card, submission=content))
    assert isinstance(outcome, Added), outcome
    print(content, flush=True)
"""


Process = subprocess.Popen[str]


@pytest.fixture
def writer(start: Callable[..., Process]) -> Callable[[Path, Path, object, int], Process]:
    """`writer(card, board, who, rows)` starts a process that appends so many rows."""
    return lambda *arguments: start([sys.executable, "-c", WRITER, *map(str, arguments)], stderr=None)


def test_a_row_says_what_the_scorecard_said(tmp_path: Path, make_card: MakeCard) -> None:
    card = make_card(fid=0.1 + 0.2, fid_interval=(0.25, 0.35), ssim=None)
    when = datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)
    outcome = append(tmp_path / "board.csv", card, when)
    assert isinstance(outcome, Added)
    (row,) = read(tmp_path / "board.csv")
    assert row == outcome.row
    assert (row.name, row.model, row.seed, row.n, row.created_at) == ("monster", "monster", 0, 3, when)
    assert (row.numbers["fid"], row.numbers["fid_low"], row.numbers["ssim"]) == (0.1 + 0.2, 0.25, None)
    assert (row.tiers_passed, row.tiers, row.submission_sha256) == (2, 2, card.submission)


def test_the_file_is_a_csv_that_others_read(tmp_path: Path, make_card: MakeCard) -> None:
    append(tmp_path / "board.csv", make_card(name='a, "quoted" näme'))
    with (tmp_path / "board.csv").open(encoding="utf-8", newline="") as file:
        (record,) = csv.DictReader(file)
    assert record["name"] == 'a, "quoted" näme'
    assert float(record["fid"]) == 80.0
    assert record["schema"] == "1"


def test_there_is_no_board_before_the_first_entry(tmp_path: Path) -> None:
    assert read(tmp_path / "board.csv") == []


def test_the_same_bytes_measured_alike_are_added_once(tmp_path: Path, make_card: MakeCard) -> None:
    board = tmp_path / "board.csv"
    append(board, make_card())
    before = board.read_bytes()
    outcome = append(board, make_card())
    assert isinstance(outcome, AlreadyThere)
    assert outcome.row.name == "monster"
    assert board.read_bytes() == before
    assert isinstance(append(board, make_card(fingerprint={"inception_sha256": "f" * 64})), Added)
    assert isinstance(append(board, make_card(content="b")), Added)
    assert len(read(board)) == 3


def test_a_scorecard_of_a_part_is_not_added(tmp_path: Path, make_card: MakeCard) -> None:
    assert isinstance(append(tmp_path / "board.csv", make_card(n=2, ranks=False)), NotAdded)
    assert not (tmp_path / "board.csv").exists()


def test_an_entry_has_a_name(tmp_path: Path, make_card: MakeCard) -> None:
    with pytest.raises(UsageError, match="name"):
        append(tmp_path / "board.csv", make_card(name=" "))


@pytest.mark.parametrize("start", [*FORMULA, "'", "'="])
def test_no_text_becomes_a_formula(tmp_path: Path, make_card: MakeCard, start: str) -> None:
    board = tmp_path / "board.csv"
    name = f'{start}HYPERLINK("x")'
    append(board, make_card(name=name, fid=1.0, psnr=-3.0))
    with board.open(encoding="utf-8", newline="") as file:
        record = list(csv.reader(file))[1]
    numbers = {COLUMNS.index(column) for column in ("psnr",)}
    assert not [cell for index, cell in enumerate(record) if index not in numbers and cell.startswith(FORMULA)]
    assert record[COLUMNS.index("psnr")] == "-3.0"
    assert read(board)[0].name == name.strip()


@pytest.mark.parametrize("name", ["two\nlines", "bell\a", "\u202etxt.exe", "nul\0", "x" * 5000, "\ud800"])
def test_a_hostile_name_stays_on_one_readable_line(tmp_path: Path, make_card: MakeCard, name: str) -> None:
    board = tmp_path / "board.csv"
    append(board, make_card(name=f"a{name}b"))
    (row,) = read(board)
    assert row.name.isprintable()
    assert len(row.name) <= 200
    assert len(board.read_bytes().splitlines()) == 2


def board_lines(tmp_path: Path, make_card: MakeCard) -> tuple[Path, list[str]]:
    board = tmp_path / "board.csv"
    for content in "abc":
        append(board, make_card(content=content))
    return board, board.read_text().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("schema", "2", "schema"),
        ("fid", "1_000", "not a number"),
        ("fid", "0x10", "not a number"),
        ("fid", " 1.0", "not a number"),
        ("n", "3.0", "whole number"),
        ("n", "-3", "whole number"),
        ("n", "4", "fingerprint"),
        ("tiers_passed", "9", "tiers_passed"),
        ("name", "", "empty"),
        ("name", "=1+1", "spreadsheet"),
        ("name", "tab\there", "control"),
        ("submission_sha256", "abc", "64"),
        ("inception_sha256", "9" * 64, "fingerprint"),
        ("competition", "other", "fingerprint"),
        ("created_at", "yesterday", "not a time"),
        ("status", "winner", "status"),
    ],
)
def test_a_tampered_cell_is_named_with_its_line(
    tmp_path: Path, make_card: MakeCard, column: str, value: str, complaint: str
) -> None:
    board, lines = board_lines(tmp_path, make_card)
    cells = next(csv.reader([lines[2]]))
    cells[COLUMNS.index(column)] = value
    lines[2] = ",".join(f'"{cell}"' for cell in cells) + "\n"
    board.write_text("".join(lines))
    before = board.read_bytes()
    with pytest.raises(BoardError, match=rf"board\.csv, line 3: .*{complaint}"):
        read(board)
    with pytest.raises(BoardError):
        append(board, make_card(content="new"))
    assert board.read_bytes() == before


@pytest.mark.parametrize(
    ("tamper", "line"),
    [
        (lambda lines: [*lines[:2], lines[2][:40] + "\n", lines[3]], 3),
        (lambda lines: [*lines[:3], lines[3][:40]], 4),
        (lambda lines: [*lines[:3], "\n", lines[3]], 4),
        (lambda lines: [*lines, lines[1]], 5),
        (lambda lines: lines[1:], 1),
        (lambda lines: [lines[0].replace("fid", "FID"), *lines[1:]], 1),
        (lambda lines: [lines[0].replace(",", ";"), *lines[1:]], 1),
        (lambda lines: [lines[0].replace(",fid,", ",fid,fid,"), *lines[1:]], 1),
        (lambda lines: [*lines[:2], lines[2].rstrip("\n") + ",\n", lines[3]], 3),
        (lambda lines: [*lines[:2], '"' + lines[2], lines[3]], 3),
        (lambda lines: [*lines[:2], "\0" + lines[2], lines[3]], 3),
    ],
    ids=["short", "torn", "blank", "repeated", "headless", "header", "semicolons", "twice", "long", "quote", "nul"],
)
def test_a_broken_line_is_named_never_dropped(tmp_path: Path, make_card: MakeCard, tamper, line: int) -> None:
    board, lines = board_lines(tmp_path, make_card)
    board.write_text("".join(tamper(lines)))
    with pytest.raises(BoardError, match=rf"board\.csv, line {line}:"):
        read(board)


def test_bytes_that_are_not_utf8_are_named(tmp_path: Path, make_card: MakeCard) -> None:
    board, lines = board_lines(tmp_path, make_card)
    board.write_bytes("".join(lines[:2]).encode() + b"\xff\xfe\n")
    with pytest.raises(BoardError, match="line 3: not UTF-8"):
        read(board)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_number_that_is_not_finite_can_be_read_but_not_written(
    tmp_path: Path, make_card: MakeCard, value: str
) -> None:
    board, lines = board_lines(tmp_path, make_card)
    lines[1] = lines[1].replace(",80.0,", f",{value},")
    board.write_text("".join(lines))
    found = read(board)[0].numbers["fid"]
    assert found is not None
    assert not math.isfinite(found)
    with pytest.raises(ValueError, match="finite"):
        make_card(fid=float(value))


def test_eight_processes_at_once_lose_nothing(tmp_path: Path, make_card: MakeCard, writer: Callable) -> None:
    (tmp_path / "card.json").write_text(make_card().to_json())
    board = tmp_path / "board.csv"
    writers = [writer(tmp_path / "card.json", board, who, 1) for who in range(8)]
    said = [process.communicate()[0].split() for process in writers]
    assert all(process.returncode == 0 for process in writers)
    assert sorted(row.submission_sha256 for row in read(board)) == sorted(
        content for lines in said for content in lines
    )
    assert len(read(board)) == 8


def test_a_kill_at_any_moment_loses_no_finished_row(tmp_path: Path, make_card: MakeCard, writer: Callable) -> None:
    (tmp_path / "card.json").write_text(make_card().to_json())
    board = tmp_path / "board.csv"
    moment = random.Random(0)
    finished: list[str] = []
    for attempt in range(6):
        process = writer(tmp_path / "card.json", board, attempt, 100_000)
        assert process.stdout is not None
        finished.append(process.stdout.readline().strip())  # it has begun, wherever importing took it
        time.sleep(moment.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        finished += process.communicate()[0].split()
        rows = [row.submission_sha256 for row in read(board)]
        # A row may be there that its writer was killed before telling of; none that was told of may be missing.
        assert set(finished) <= set(rows)
        assert len(rows) <= len(finished) + attempt + 1
    assert isinstance(append(board, make_card(content="after the kills")), Added)


def test_the_shipped_rows_were_measured_on_what_ships() -> None:
    for row in read(SHIPPED):
        competition = Competition.load(row.competition)
        # Copies of training images, and one image for all prompts: the bestiary's rules allow neither.
        assert row.status == ("suspect" if row.name in ("nearest", "mean-image") else "ok")
        assert row.n == len(competition.prompts)
        assert row.measured_by["prompts_sha256"] == competition.prompts_sha256
        assert row.measured_by["references_sha256"] == competition.references().sha256


def test_a_scorecard_survives_its_json(make_card: MakeCard, tmp_path: Path) -> None:
    card = make_card()
    again = Scorecard.from_json(json.dumps(card.to_dict()))
    append(tmp_path / "board.csv", card)
    assert isinstance(append(tmp_path / "board.csv", again), AlreadyThere)


def test_families_are_on_the_board_and_rows_of_earlier_versions_have_none(
    tmp_path: Path, make_card: MakeCard, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "board.csv"
    interval = (70.0, 90.0)
    append(path, make_card("old", "a", fid_interval=interval))
    without = [line.rsplit(",", 1) for line in path.read_text().splitlines()]
    assert [cell for _, cell in without] == ["families", ""]
    path.write_text("".join(f"{rest}\n" for rest, _ in without))  # a board of a version that knew no families
    append(path, make_card("new", "b", fid_interval=interval, families=166))
    assert [row.families for row in read(path)] == [None, 166]
    assert path.read_text().splitlines()[0].endswith(",families")
    groups = rank(entries(path, tmp_path / "none.csv"))
    show.print_board(Console(width=100, force_terminal=False), groups, {})
    shown = capsys.readouterr().out
    assert "3 images in 166 families" in shown
    assert "1 scored by an earlier version, whose intervals are too narrow" in shown
    path.write_text(path.read_text().replace(",166\n", ",many\n"))
    with pytest.raises(BoardError, match="families is 'many', not a whole number"):
        read(path)


@pytest.mark.skipif(not hasattr(os, "fchmod"), reason="the system has no such permissions")
def test_a_board_keeps_its_permissions_and_a_link_to_it_stays_one(tmp_path: Path, make_card: MakeCard) -> None:
    (tmp_path / "shared").mkdir()
    board, link = tmp_path / "shared" / "board.csv", tmp_path / "board.csv"
    append(board, make_card(content="a"))
    board.chmod(0o600)
    link.symlink_to(board)
    append(link, make_card(content="b"))
    assert link.is_symlink()
    assert board.stat().st_mode & 0o777 == 0o600
    assert len(read(board)) == 2
    editing.remove(link, "monster")
    assert link.is_symlink()
    assert board.stat().st_mode & 0o777 == 0o600
    assert editing.history_path(link) == tmp_path / "shared" / "board.history.csv"
    assert read(link) == []


@pytest.mark.parametrize("room", ["show", "table"])
def test_the_work_grows_with_the_rows_and_no_faster(tmp_path: Path, make_card: MakeCard, capsys, room: str) -> None:
    """Counts calls, not seconds: four times the rows, at most about four times the calls of everything in Python."""
    append(tmp_path / "board.csv", make_card())
    header, line = (tmp_path / "board.csv").read_bytes().splitlines(keepends=True)
    sha = read(tmp_path / "board.csv")[0].submission_sha256.encode()
    words = [room, "--leaderboard", str(tmp_path / "board.csv")]
    counts = []
    for rows in (500, 2000):
        lines = [line.replace(sha, b"%064x" % n).replace(b"monster", b"student %d" % n, 1) for n in range(rows)]
        (tmp_path / "board.csv").write_bytes(header + b"".join(lines))
        profile = cProfile.Profile()
        arguments = [*words, "--competition", str(tmp_path / "tiny")] if room == "table" else words
        assert profile.runcall(main, arguments) == 0
        counts.append(sum(entry.callcount for entry in profile.getstats()))
        capsys.readouterr()
    assert counts[1] < 5 * counts[0]


def test_nothing_is_a_board_without_rows() -> None:
    assert list(read(Path(os.devnull))) == []
