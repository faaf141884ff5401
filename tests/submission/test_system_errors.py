"""What the operating system says becomes a sentence with the path, and an exit code that means what it says."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from submission import atomic, paths
from submission.errors import run

ROOT = Path(__file__).resolve().parents[2]
needs_posix = pytest.mark.skipif(os.name == "nt", reason="signals, limits and /dev of Unix")


def _shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in the checkout; `$P` is this Python."""
    return subprocess.run(
        ["bash", "-c", line],
        cwd=ROOT,
        env={**os.environ, "P": sys.executable, **environment},
        capture_output=True,
        text=True,
    )


@needs_posix
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("command", ["submission data -c bestiary", "leaderboard table"])
def test_a_full_disk_behind_standard_output(command: str) -> None:
    done = _shell(f"$P -m {command} > /dev/full")
    assert done.returncode == 4
    assert done.stderr.startswith("error: standard output: No space left on device")
    assert len(done.stderr.splitlines()) == 2


@needs_posix
def test_closed_streams_change_no_exit_code(tmp_path: Path) -> None:
    out = tmp_path / "table.md"
    assert _shell(f"$P -m leaderboard table --out {out} >&- 2>&- <&-").returncode == 0
    assert out.read_text().startswith("|")  # and nothing that was printed has come into it
    assert "table:" not in out.read_text()
    assert _shell("$P -m submission check nowhere -c bestiary >&- 2>&-").returncode == 3


@needs_posix
def test_a_limit_of_file_sizes_names_the_file(tmp_path: Path) -> None:
    done = _shell(f"ulimit -f 0; $P -m leaderboard table --out {tmp_path / 'table.md'}")
    assert done.returncode == 4
    assert f"error: {tmp_path / 'table.md'}: File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["open", "write", "fsync", "replace"])
def test_a_full_disk_names_the_file_wherever_it_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], step: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if step == "open":
        monkeypatch.setattr(os, "open", full)
    elif step == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    elif step == "replace":
        monkeypatch.setattr(Path, "replace", full)

    def main(_: object) -> int:
        with atomic.replacing(tmp_path / "card.json") as file:
            if step == "write":
                full()
            file.write(b"x")
        return 0

    assert run(main, []) == 4
    assert str(tmp_path / "card.json") in capsys.readouterr().err
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError("no number, no name"), 4, "error: no number, no name"),
        (FileNotFoundError(errno.ENOENT, "No such file"), 4, "error: the current folder: No such file"),
        (OSError(errno.EIO, "Input/output error"), 4, "error: Input/output error"),
        (PermissionError(errno.EACCES, "Permission denied", "a\x1b[2Jb"), 4, "error: a\\x1b[2Jb: Permission denied"),
        (MemoryError(), 4, "smaller --batch-size"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory"), 4, "memory"),
        (ModuleNotFoundError("No module named 'diffusers'", name="diffusers"), 4, "missing: the package diffusers"),
        (ModuleNotFoundError("No module named 'submission.x'", name="submission.x"), 4, "a bug in drawoff"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (SystemExit("CUDA out of memory"), 2, "error: CUDA out of memory"),
        (SystemExit(7), 7, ""),
        (RecursionError("x"), 4, "a bug in drawoff"),
    ],
)
def test_one_sentence_and_one_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error, code: int, said: str
) -> None:
    monkeypatch.setenv("DRAWOFF_CACHE", str(tmp_path))

    def main(_: object) -> int:
        raise error

    assert run(main, []) == code
    assert said in capsys.readouterr().err


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("DRAWOFF_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nobody)

    def lacks_a_folder(_: object) -> int:
        raise AssertionError(paths.cache_home())

    def fails(_: object) -> int:
        raise AssertionError("and the report of it has no folder either")

    assert run(lacks_a_folder, []) == 4
    assert "DRAWOFF_CACHE" in capsys.readouterr().err
    assert run(fails, []) == 4
    assert "DRAWOFF_TRACEBACK=1" in capsys.readouterr().err


_IN_IMPORTS = """
import builtins, runpy, sys
real = builtins.__import__
def broken(name, *rest):
    if name == "pydantic":
        raise {error}
    return real(name, *rest)
builtins.__import__ = broken
{started}
"""
_STARTED = {
    "submission": 'sys.argv = ["-m", "check", "."]\nrunpy.run_module("submission", run_name="__main__")',
    "drawoff": 'sys.argv = ["/usr/bin/drawoff", "board"]\nfrom drawoff import command',  # as pip writes it
}


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        ("KeyboardInterrupt", 130, "interrupted\n"),
        ("ModuleNotFoundError('no pydantic', name='pydantic')", 4, "missing: the package pydantic\n  get it:"),
        ("RuntimeError('odd')", 4, "this is a bug in drawoff: RuntimeError: odd"),
    ],
)
@pytest.mark.parametrize("command", _STARTED)
def test_what_happens_during_imports(command: str, error: str, code: int, said: str) -> None:
    text = _IN_IMPORTS.format(error=error, started=_STARTED[command])
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr[: len(said)]) == (code, said)


@needs_posix
def test_a_current_folder_that_was_removed(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = _shell(f"cd {gone}; rmdir {gone}; $P -P {ROOT}/drawoff.py board --leaderboard {tmp_path / 'board.csv'}")
    assert done.returncode == 0, done.stderr
    assert "bestiary" in done.stdout
