"""`make env`, with a stand-in for Python and pip: an environment is believed only when its installation ended well."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Says it is a Python that is new enough, makes .venv with itself in it, and installs as $PIP_DOES says.
STAND_IN = """#!/bin/sh
echo "$@" >> calls
case "$*" in
    "-m venv"*) [ "$3" != --clear ] || rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
    *install*) case "$PIP_DOES" in hang) sleep 86400 ;; fail) exit 1 ;; esac ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "python").write_text(STAND_IN)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def started(checkout: Path, target: str = "env", pip: str = "", **variables: str) -> subprocess.Popen[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHON": "./python", "PIP_DOES": pip, **variables}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(["make", target], cwd=checkout, env=environment, text=True, start_new_session=True, **pipes)


def make(checkout: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    """The exit code, and what was said."""
    process = started(checkout, *arguments, **variables)
    said = process.communicate()[0]
    return process.returncode, said


def calls(checkout: Path) -> list[str]:
    """The installations since the last look."""
    lines = (checkout / "calls").read_text().splitlines()
    (checkout / "calls").write_text("")
    return [line for line in lines if " install " in line or "venv" in line]


def test_it_is_made_once_and_again_when_the_project_changes(checkout: Path) -> None:
    assert make(checkout)[0] == 0
    made = calls(checkout)
    assert made[0] == "-m venv .venv"
    assert made[1].endswith("install --constraint constraints.txt --editable .[baselines,dev]")
    assert make(checkout)[0] == 0
    assert calls(checkout) == []
    later = time.time() + 10
    os.utime(checkout / "pyproject.toml", (later, later))
    assert make(checkout)[0] == 0
    assert len(calls(checkout)) == 1


def test_the_newest_versions_on_request(checkout: Path) -> None:
    assert make(checkout, CONSTRAINTS="")[0] == 0
    assert calls(checkout)[1].endswith("install --editable .[baselines,dev]")


def test_another_target_makes_it_first(checkout: Path) -> None:
    assert make(checkout, "leaderboard")[0] == 0
    assert (checkout / ".venv" / ".complete").exists()


def test_the_index_for_torch_is_the_users(checkout: Path) -> None:
    assert make(checkout, TORCH_INDEX="https://wheels.example/cpu")[0] == 0
    _, torch, rest = calls(checkout)
    assert "install --constraint constraints.txt --index-url https://wheels.example/cpu torch>=2.11" in torch
    assert "--index-url" not in rest


def test_a_failed_installation_is_tried_again(checkout: Path) -> None:
    assert make(checkout, pip="fail")[0] == 2
    assert not (checkout / ".venv" / ".complete").exists()
    calls(checkout)
    assert make(checkout)[0] == 0
    assert [call for call in calls(checkout) if "venv --clear" in call] == []  # pip undoes what it did not finish


def test_a_killed_installation_is_started_afresh(checkout: Path) -> None:
    process = started(checkout, pip="hang")
    while not ((checkout / "calls").exists() and " install " in (checkout / "calls").read_text()):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (checkout / ".venv" / ".complete").exists()
    calls(checkout)
    code, said = make(checkout)
    assert code == 0
    assert "interrupted" in said
    assert calls(checkout)[0] == "-m venv --clear .venv"
    assert (checkout / ".venv" / ".complete").exists()


def test_an_old_python_is_told_apart(checkout: Path) -> None:
    (checkout / "python").write_text('#!/bin/sh\n[ "$1" != --version ] || echo Python 3.9.1\n[ "$1" = --version ]\n')
    code, said = make(checkout)
    assert code == 2
    assert "Python 3.9.1" in said
    assert "PYTHON=" in said
    assert not (checkout / ".venv").exists()


def test_this_python_is_new_enough() -> None:
    assert sys.version_info >= (3, 11)
