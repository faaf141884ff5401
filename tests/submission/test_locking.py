"""One writer at a time, on file systems with locks and without."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from submission import Manifest, SubmissionWriter
from submission.errors import MissingPart
from submission.locking import exclusive

ROOT = Path(__file__).resolve().parents[2]
# A file system's answer to flock; 0 for one that has it.
ANSWERS = [0, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS]


@pytest.fixture(params=ANSWERS, ids=["flock", "ENOLCK", "EOPNOTSUPP", "ENOSYS"])
def file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    if request.param:

        def flock(descriptor: int, operation: int) -> None:
            raise OSError(request.param, os.strerror(request.param))

        monkeypatch.setattr(fcntl, "flock", flock)
    return request.param


def test_one_at_a_time(file_system: int, tmp_path: Path) -> None:
    inside, most = 0, 0

    def enter() -> None:
        nonlocal inside, most
        with exclusive(tmp_path / ".lock", "it", 60):
            inside += 1
            most = max(most, inside)
            time.sleep(0.01)
            inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert os.listdir(tmp_path) == []


def test_an_exception_frees_it(file_system: int, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), exclusive(tmp_path / ".lock", "it", 5):
        raise ZeroDivisionError
    with exclusive(tmp_path / ".lock", "it", 5):
        pass
    assert os.listdir(tmp_path) == []


def test_who_holds_it_too_long_is_told(file_system: int, tmp_path: Path) -> None:
    with exclusive(tmp_path / ".lock", "the board", 5):
        said: list[str] = []

        def wait() -> None:
            with (
                pytest.raises(MissingPart, match=r"held the board for 0\.1 s") as caught,
                exclusive(tmp_path / ".lock", "the board", 0.1),
            ):
                pass
            said.append(str(caught.value))

        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()
    if file_system:
        assert "this file system has no locks" in said[0]
        assert str(tmp_path / ".lock.part") in said[0]


def test_what_a_killed_process_left_is_no_obstacle(file_system: int, tmp_path: Path) -> None:
    code = (
        "import fcntl, os, sys\nfrom pathlib import Path\nfrom submission.locking import exclusive\n"
        "number = int(sys.argv[2])\n"
        "def flock(*_): raise OSError(number, 'none')\n"
        "if number: fcntl.flock = flock\n"
        "with exclusive(Path(sys.argv[1]), 'it', 5): os._exit(9)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / ".lock"), str(file_system)]
    assert subprocess.run(command, cwd=ROOT).returncode == 9
    assert os.listdir(tmp_path) != []
    with exclusive(tmp_path / ".lock", "it", 10):
        pass


def test_other_errors_are_the_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="Input/output error"), exclusive(tmp_path / ".lock", "it", 1):
        pass


def test_a_submission_is_written_where_there_are_no_locks(file_system: int, tiny_competition, tmp_path: Path) -> None:
    competition = tiny_competition(2)
    manifest = Manifest(competition=competition.name, model="m", seed=0)
    writer = SubmissionWriter(tmp_path / "a", competition, manifest)
    for name in writer.missing():
        writer.write(name, np.zeros((64, 64, 3), np.uint8))
    assert writer.finish()
    assert sorted(os.listdir(tmp_path / "a")) == ["0_main.png", "1_main.png", "submission.json"]
