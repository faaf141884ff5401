"""What a terminal cannot encode, and a reader who leaves early."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from submission import output

ROOT = Path(__file__).resolve().parents[2]
COMMAND = """
import sys
from rich.console import Console
from submission.errors import run

def main(argv):
    for number in range(20000):
        print("line", number)
        if number % 1000 == 0:
            Console().print("a console's line")
            sys.stdout.flush()
    open(sys.argv[1], "w").write("done")
    return 7

sys.exit(run(main))
"""


def in_ascii(text: str) -> str:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="ascii", errors="drawoff.ascii")
    stream.write(text)
    stream.flush()
    return buffer.getvalue().decode()


def test_our_signs_have_an_ascii_form_of_their_own() -> None:
    signs = "✓✗–…·×±≥≤≈↑↓"
    plain = [in_ascii(sign) for sign in signs]
    assert "?" not in "".join(plain)
    assert in_ascii("✓") != in_ascii("✗")
    assert in_ascii("FID↓ ≤ 90.00 … 1–2") == "FIDv <= 90.00 ... 1-2"


def test_foreign_names_stay_apart() -> None:
    assert in_ascii("Ünal") != in_ascii("Önal")
    assert in_ascii("你好") == "\\u4f60\\u597d"


@pytest.mark.parametrize("flags", [[], ["-u"]])
def test_a_command_whose_reader_leaves_ends_its_work_with_its_own_exit_code(tmp_path: Path, flags: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, *flags, "-c", COMMAND, str(tmp_path / "end")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "line 0\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 7
    assert (tmp_path / "end").read_text() == "done"


def test_a_piped_command_prints_all_and_keeps_its_exit_code(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", COMMAND, str(tmp_path / "end")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 7
    assert len(result.stdout.splitlines()) == 20020
    assert result.stderr == ""


def test_a_captured_stream_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    captured = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", captured)
    output.prepare()
    assert sys.stdout is captured
    assert os.fstat(1)
