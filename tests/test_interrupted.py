"""Killed at any moment, or out of disk anywhere: no file is torn, no row is lost, and the next run ends the same.

`DRAWOFF_KILLS=400 DRAWOFF_FULL_DISKS=100 pytest tests/test_interrupted.py` tries so many (default: 12 and 9). Each is
forked from this process, which has imported everything, so that it is killed at its work and not in its imports.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hostile_inputs
import pytest
from hostile_inputs.case import NAMES

import baselines.__main__
import scorer.__main__
import scorer.score
import submission.__main__
from leaderboard import board
from submission import Competition, Scorecard, Submission
from submission.atomic import is_leftover
from submission.errors import run

KILLS = int(os.environ.get("DRAWOFF_KILLS", "12"))
FULL_DISKS = int(os.environ.get("DRAWOFF_FULL_DISKS", "9"))
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a process that is forked")

Command = tuple[Callable[..., int], list[str]]


def start(command: Command, root: Path, limit: int | None = None) -> int:
    """A process that runs the command; no file that it writes may have more than `limit` bytes."""
    child = os.fork()
    if child:
        return child
    code = 99
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.environ["DRAWOFF_CACHE"] = str(root / "cache")
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        code = run(*command)
    finally:
        os._exit(code)


def finish(child: int) -> int:
    """Its exit code, below zero for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Draw:
    """A submission drawn by `noise`."""

    share = 0.75

    def __init__(self, root: Path, competition: Path) -> None:
        self.out = root / "drawn"
        words = ["noise", "--competition", str(competition), "--out", str(self.out), "--batch-size", "1"]
        self.command: Command = (baselines.__main__.main, words)

    def state(self) -> dict[str, bytes]:
        """The files that are there, but for what a writer leaves."""
        paths = sorted(self.out.iterdir()) if self.out.is_dir() else []
        return {path.name: path.read_bytes() for path in paths if not is_leftover(path.name) and path.name != ".lock"}

    def check(self, whole: dict[str, bytes]) -> None:
        """Each file is as it will be in the end; only the manifest has a form before that."""
        for name, data in self.state().items():
            if name != "submission.json":
                assert data == whole[name], name
            else:
                assert data.startswith(b"{")
                assert data.endswith(b"}\n")

    def again(self) -> None:
        """Begin anew when everything was done."""
        if len(self.state()) == len(NAMES) + 1:
            for path in self.out.iterdir():
                path.unlink()


class Sheet:
    """A contact sheet."""

    share = 0.2

    def __init__(self, root: Path, competition: Path) -> None:
        self.out = root / "sheet.png"
        drawn = competition.parent / "honest"
        words = ["sheet", str(drawn), "--competition", str(competition), "--out", str(self.out)]
        self.command: Command = (submission.__main__.main, words)

    def state(self) -> bytes:
        return self.out.read_bytes() if self.out.exists() else b""

    def check(self, whole: bytes) -> None:
        assert self.state() in (b"", whole)

    def again(self) -> None:
        self.out.unlink(missing_ok=True)


class Score:
    """A scorecard, a row of the board, and the caches."""

    share = 0.05

    def __init__(self, root: Path, competition: Path) -> None:
        self.card, self.board, self.root = root / "card.json", root / "board.csv", root
        drawn = competition.parent / "honest"
        words = [str(drawn), "--competition", str(competition), "--name", "entry", "--device", "cpu"]
        words += ["--json", str(self.card), "--leaderboard", str(self.board)]
        self.command: Command = (scorer.__main__.main, words)
        self.rows = 0

    def state(self) -> tuple[dict[str, object], int]:
        card = Scorecard.from_json(self.card.read_bytes()) if self.card.exists() else None
        return (card.scores if card else {}), len(board.read(self.board))

    def check(self, whole: tuple[dict[str, object], int]) -> None:
        scores, rows = self.state()
        assert scores in ({}, whole[0])
        assert rows >= self.rows
        self.rows = rows

    def again(self) -> None:
        self.card.unlink(missing_ok=True)
        for path in (self.root / "cache").rglob("*.*"):
            if random.random() < 0.5:
                path.unlink(missing_ok=True)


WORK = {"draw": Draw, "sheet": Sheet, "score": Score}


@pytest.fixture
def competition(tmp_path: Path) -> Path:
    """The competition, with an honest submission beside it."""
    made = hostile_inputs.competition(tmp_path)
    hostile_inputs.honest(tmp_path).rename(tmp_path / "honest")
    return made


@pytest.mark.parametrize("what", WORK)
def test_killed_at_any_moment(what: str, tmp_path: Path, competition: Path) -> None:
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    reference = WORK[what](tmp_path / "whole", competition)
    assert finish(start(reference.command, tmp_path / "whole")) == 0
    for path in (tmp_path / "whole" / "cache").rglob("*.*"):
        path.unlink()
    begun = time.monotonic()
    assert finish(start(reference.command, tmp_path / "whole")) == 0
    span, whole = max(time.monotonic() - begun, 0.05), reference.state()

    work = WORK[what](tmp_path / "killed", competition)
    rng = random.Random(what)
    runs = killed = 0
    while killed < max(2, round(KILLS * work.share)):
        work.again()
        child = start(work.command, tmp_path / "killed")
        time.sleep(rng.uniform(0, span))
        os.kill(child, signal.SIGKILL)
        ended = finish(child) >= 0
        runs, killed = runs + 1, killed + (not ended)
        span *= 0.8 if ended else 1.1  # other work on this machine makes it faster and slower
        work.check(whole)
    assert finish(start(work.command, tmp_path / "killed")) == 0
    assert work.state() == whole
    if what == "draw":
        assert sorted(path.name for path in (tmp_path / "killed" / "drawn").iterdir()) == sorted(whole)
        Submission.open(tmp_path / "killed" / "drawn", Competition.load(competition))
    print(f"{what}: {killed} of {runs} killed")


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[int], bool]]:
    """`folder` as a file system of its own whose size can be set, where this user may make one; else nothing is set."""
    folder.mkdir()

    def mount(*options: str) -> bool:
        try:
            return subprocess.run(["mount", *options, str(folder)], capture_output=True).returncode == 0
        except OSError:
            return False

    mounted = mount("-t", "tmpfs", "-o", "size=64m", "tmpfs")
    try:
        yield lambda size: mounted and mount("-o", f"remount,size={size}")
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True, capture_output=True)


@pytest.mark.parametrize("what", WORK)
def test_a_full_disk_at_any_place(what: str, tmp_path: Path, competition: Path) -> None:
    (tmp_path / "whole").mkdir()
    reference = WORK[what](tmp_path / "whole", competition)
    assert finish(start(reference.command, tmp_path / "whole")) == 0
    whole = reference.state()
    files = [path for path in (tmp_path / "whole").rglob("*") if path.is_file()]
    largest, total = max(path.stat().st_size for path in files), sum(path.stat().st_size + 4096 for path in files)
    rng = random.Random(what)
    full = 0
    with small_disk(tmp_path / "small") as resize:
        for _ in range(max(2, round(FULL_DISKS * reference.share))):
            for path in sorted((tmp_path / "small").rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            work = WORK[what](tmp_path / "small", competition)
            # A file system in memory, or a limit of each file's size: the first that this user may set.
            limited = resize(rng.randrange(4096, total) // 4096 * 4096)
            code = finish(start(work.command, tmp_path / "small", None if limited else rng.randrange(largest)))
            assert code in (0, 4)
            full += code == 4
            work.check(whole)
            resize(64 * 2**20)
            assert finish(start(work.command, tmp_path / "small")) == 0
            assert work.state() == whole
    assert full
    print(f"{what}: {full} full disks")
