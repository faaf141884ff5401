"""The lines that a log gets, by a clock of the test's own; the bar of a terminal; silence of all processes but one."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import sys
from collections.abc import Callable

import pytest

from submission.progress import Progress, duration, track

Lines = Callable[[], list[str]]


class Clock:
    """Seconds that pass only when the test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    return lambda: capsys.readouterr().err.splitlines()


def worked(total: int | None, seconds_each: float, pieces: int, *, at_once: int = 1, **options: object) -> None:
    clock = Clock()
    with Progress("drawing", total, clock=clock, **options) as progress:
        for _ in range(pieces):
            clock.now += seconds_each
            progress.advance(at_once)


def counts(said: list[str]) -> list[str]:
    return [line.removeprefix("drawing: ").split(",")[0].split(" in ")[0].split(" of ")[0] for line in said]


def test_work_of_a_moment_has_two_lines(lines: Lines) -> None:
    worked(200, 0.02, 200)
    assert lines() == ["drawing: 0 of 200", "drawing: 200 of 200 in 4.0 s, 50.0/s"]


def test_fast_work_says_a_line_every_thirty_seconds(lines: Lines) -> None:
    """A tenth takes 10 s: 30 s are the later."""
    worked(100, 1.0, 100)
    said = lines()
    assert counts(said) == ["0", "30", "60", "90", "100"]
    assert said[1] == "drawing: 30 of 100, 1.0/s, 1 min 10 s left"
    assert said[-1] == "drawing: 100 of 100 in 1 min 40 s, 1.0/s"


def test_slow_work_says_a_line_every_tenth(lines: Lines) -> None:
    """A tenth takes 400 s: it is the later."""
    worked(100, 40.0, 100)
    said = lines()
    assert counts(said) == [str(count) for count in range(0, 101, 10)]
    assert said[1] == "drawing: 10 of 100, 40.0 s each, 1 h 00 min left"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(29.9, ["0", "2", "4", "6", "8", "10"]), (30.0, [str(count) for count in range(11)])],
)
def test_both_bounds_are_met_exactly(lines: Lines, seconds: float, expected: list[str]) -> None:
    worked(10, seconds, 10)
    assert counts(lines()) == expected


def test_both_count_from_the_last_line(lines: Lines) -> None:
    """Batches of 7 of 100: the first that is a tenth past the last line says the next."""
    worked(100, 60.0, 14, at_once=7)
    assert counts(lines()) == ["0", "14", "28", "42", "56", "70", "84", "98", "98"]


def test_work_that_goes_on_counts_only_what_it_did_itself(lines: Lines) -> None:
    worked(100, 10.0, 20, done=80)
    said = lines()
    assert said[0] == "drawing: 80 of 100"
    assert said[1] == "drawing: 90 of 100, 10.0 s each, 1 min 40 s left"
    assert said[-1] == "drawing: 100 of 100 in 3 min 20 s, 10.0 s each"


def test_what_was_done_before_is_no_rate(lines: Lines) -> None:
    worked(100, 1.0, 0, done=100)
    assert lines() == ["drawing: 100 of 100", "drawing: 100 of 100 in 0.0 s"]


def test_an_unknown_total_leaves_the_thirty_seconds(lines: Lines) -> None:
    worked(None, 15.0, 5)
    assert lines() == [
        "drawing: 0",
        "drawing: 2, 15.0 s each",
        "drawing: 4, 15.0 s each",
        "drawing: 5 in 1 min 15 s, 15.0 s each",
    ]


def test_nothing_to_do_divides_nothing(lines: Lines) -> None:
    assert list(track([], "drawing", clock=Clock())) == []
    assert lines() == ["drawing: 0 of 0", "drawing: 0 of 0 in 0.0 s"]


def test_the_latest_note_stands_at_the_end_of_a_line(lines: Lines) -> None:
    clock = Clock()
    with Progress("training", 4, clock=clock) as progress:
        for step in range(4):
            clock.now += 31
            progress.advance(note=f"loss {step}" if step != 1 else "")
    said = lines()
    assert [line.rsplit(", ", 1)[-1] for line in said[1:]] == ["loss 0", "loss 0", "loss 2", "loss 3"]


def test_an_error_is_no_end(lines: Lines) -> None:
    with pytest.raises(KeyError), Progress("drawing", 9, clock=Clock()) as progress:
        progress.advance(4)
        raise KeyError
    assert lines()[-1] == "drawing: stopped at 4 of 9 after 0.0 s"


def test_track_counts_an_item_once_it_was_used(lines: Lines) -> None:
    clock = Clock()
    for item in track(range(10), "drawing", clock=clock):
        clock.now += 31
        assert counts(lines()) == [str(item)]
    assert counts(lines()) == ["10"]


def test_track_ends_in_silence_where_no_more_is_wanted(lines: Lines) -> None:
    items = track(iter("abc"), "reading", total=3)
    assert next(items) == "a"
    items.close()
    assert lines() == ["reading: 0 of 3"]


def test_nothing_is_said_where_nothing_shall_be_shown(lines: Lines) -> None:
    assert list(track(range(3), "drawing", show=False)) == [0, 1, 2]
    worked(3, 100.0, 3, show=False)
    assert lines() == []


ADDRESS = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}  # where a launcher's processes meet


@pytest.mark.parametrize(
    ("environment", "speaks"),
    [
        ({"WORLD_SIZE": "2", "RANK": "0", **ADDRESS}, True),
        ({"WORLD_SIZE": "2", "RANK": "1", **ADDRESS}, False),
        ({"WORLD_SIZE": "1", "RANK": "0", **ADDRESS}, True),
        ({"WORLD_SIZE": "2", "RANK": "1"}, True),  # no launcher said so
        ({"WORLD_SIZE": "16", "RANK": "8", "LOCAL_RANK": "0", **ADDRESS}, False),  # the first of its machine only
    ],
)
def test_of_several_processes_the_first_speaks(
    lines: Lines, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], speaks: bool
) -> None:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", *ADDRESS):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    worked(3, 100.0, 3)
    assert bool(lines()) == speaks


def test_every_line_is_flushed_when_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log file's buffer would else keep the lines of half an hour."""

    class File(io.BytesIO):
        def isatty(self) -> bool:
            return False

    file = File()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BufferedWriter(file, 2**20)))
    for number, _ in enumerate(track(range(3), "drawing", clock=iter(range(0, 10**4, 40)).__next__)):
        assert file.getvalue().count(b"\n") == number + 1


def on_a_terminal(work: Callable[[], None], monkeypatch: pytest.MonkeyPatch, kind: str = "xterm") -> str:
    """What `work` writes to stderr when that is a terminal."""
    ours, theirs = pty.openpty()
    with monkeypatch.context() as patch, os.fdopen(theirs, "w") as stderr:
        patch.setenv("TERM", kind)
        patch.setattr(sys, "stderr", stderr)
        work()
    said = b""
    with contextlib.suppress(OSError):  # how Linux says that the other end is closed
        while part := os.read(ours, 2**16):
            said += part
    os.close(ours)
    return said.decode()


def test_a_terminal_gets_a_bar_and_no_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        with Progress("drawing with [monster]", 8, done=2) as progress:
            progress.advance(6, "loss 0.5")

    said = on_a_terminal(work, monkeypatch)
    assert "\x1b[?25l" in said  # the cursor is hidden while the bar moves
    assert "drawing with [monster]" in said
    assert "8/8" in said
    assert "loss 0.5" in said
    assert "8 of 8" not in said


def test_a_terminal_that_cannot_move_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    said = on_a_terminal(lambda: worked(2, 1.0, 2), monkeypatch, kind="dumb")
    assert said.split("\r\n")[:2] == ["drawing: 0 of 2", "drawing: 2 of 2 in 2.0 s, 1.0/s"]


def test_colours_in_a_log_make_no_terminal_of_it(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    worked(2, 1.0, 2)
    assert lines() == ["drawing: 0 of 2", "drawing: 2 of 2 in 2.0 s, 1.0/s"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (9.24, "9.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (119.7, "2 min 00 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (90061, "25 h 01 min"),
    ],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text
