"""A disk that fills up at any moment: no acknowledged row is lost, no file is torn, the next try ends the same.

The disk is a pretended one: from the k-th write, flush or rename on, the system says that there is no space; a write
before that may have brought a part of its bytes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import io
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leaderboard import Added, append, editing, read
from leaderboard.__main__ import main
from submission import Scorecard
from submission.errors import run

# 200 take about ten seconds.
ROUNDS = int(os.environ.get("DRAWOFF_TEST_ROUNDS", "24"))


@pytest.fixture
def filling(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, random.Random], contextlib.AbstractContextManager]:
    """`with filling(k, rng)`: the k-th operation that needs space fails, and all after it."""

    @contextlib.contextmanager
    def full_after(count: int, rng: random.Random) -> Iterator[list[str]]:
        done: list[str] = []

        def needs_space(what: str) -> None:
            done.append(what)
            if len(done) > count:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        class Filling(io.FileIO):
            def write(self, data) -> int:
                data = memoryview(data)
                try:
                    needs_space("write")
                except OSError:
                    super().write(data[: rng.randint(0, data.nbytes)])  # a part of it fitted
                    raise
                return super().write(data)

        fsync, replace, open_ = os.fsync, Path.replace, os.open

        def opened(path, flags, *arguments, **options):
            if flags & os.O_CREAT and str(path).endswith(".part"):
                needs_space("create")
            return open_(path, flags, *arguments, **options)

        def synced(descriptor):
            needs_space("fsync")
            fsync(descriptor)

        def replaced(path, target):
            needs_space("rename")
            return replace(path, target)

        with monkeypatch.context() as patched:
            patched.setattr(os, "fdopen", lambda descriptor, mode: io.BufferedWriter(Filling(descriptor, mode)))
            patched.setattr(os, "open", opened)
            patched.setattr(os, "fsync", synced)
            patched.setattr(Path, "replace", replaced)
            yield done

    return full_after


def test_no_acknowledged_row_is_lost_and_every_try_after_it_ends_the_same(
    tmp_path: Path, make_card: Callable[..., Scorecard], filling
) -> None:
    rng = random.Random(0)
    path = tmp_path / "board.csv"
    card = make_card()
    acknowledged: list[str] = []
    failures = 0
    for number in range(ROUNDS):
        content = hashlib.sha256(str(number).encode()).hexdigest()
        entry = dataclasses.replace(card, submission=content, name=f"student {number % 7}")
        before = path.read_bytes() if path.exists() else None
        with filling(rng.randint(0, 8), rng):
            try:
                assert isinstance(append(path, entry), Added)
                acknowledged.append(content)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                failures += 1
        rows = [row.submission_sha256 for row in read(path)]  # it can be read: nothing is torn
        assert set(acknowledged) <= set(rows)
        assert len(rows) == len(set(rows))
        if content not in rows:
            assert (path.read_bytes() if path.exists() else None) == before
        append(path, entry)  # there is space again
        if content not in acknowledged:
            acknowledged.append(content)
        assert [row.submission_sha256 for row in read(path)] == acknowledged
        assert not list(tmp_path.glob(".*.part"))
    assert ROUNDS // 4 < failures < ROUNDS


def test_renames_and_removals_lose_nothing(tmp_path: Path, make_card: Callable[..., Scorecard], filling) -> None:
    rng = random.Random(1)
    path = tmp_path / "board.csv"
    for number in range(4):
        append(path, make_card(name=f"student {number}", content=str(number)))
    everything = {row.submission_sha256 for row in read(path)}
    for number in range(ROUNDS // 2):
        old = sorted({row.name for row in read(path)})[number % 4]
        with filling(rng.randint(0, 10), rng), contextlib.suppress(OSError):
            editing.rename(path, old, f"renamed {number}")
        assert {row.submission_sha256 for row in read(path)} == everything
        assert not list(tmp_path.glob(".*.part"))
    with filling(5, rng), contextlib.suppress(OSError):  # the history is written, the board is not
        editing.remove(path, sorted(row.name for row in read(path))[0])
    kept = editing.history_path(path).read_text()
    assert all(sha256 in kept or sha256 in path.read_text() for sha256 in everything)


def test_a_full_disk_is_said_in_a_sentence(tmp_path: Path, make_card, filling, capsys) -> None:
    path = tmp_path / "board.csv"
    append(path, make_card())
    with filling(0, random.Random(0)):
        assert run(main, ["rename", "monster", "other", "--leaderboard", str(path)]) == 4
    assert "No space left" in capsys.readouterr().err
    assert [row.name for row in read(path)] == ["monster"]
