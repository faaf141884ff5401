"""Foreign text is printed so that it acts on nobody: not on a terminal, not in the log of a continuous integration."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from submission import Problem, Submission, SubmissionError
from submission.errors import shown
from submission.output import _EscapedText, escaped

ROOT = Path(__file__).resolve().parents[2]
ACTS = {
    "escape": "a\x1b[2Jb",
    "title": "a\x1b]0;title\x07b",
    "clipboard": "a\x1b]52;c;aGk=\x07b",
    "c1": "a\x9b2Jb",
    "bell": "a\x07b",
    "backspace": "abc\x08\x08\x08xyz",
    "return": "evil\rgood",
    "bidi": "a\u202egnp.b",
    "isolate": "a\u2066b",
    "mark": "a\u200fb",
    "separator": "a\u2028::error::b",
    "surrogate": "a\udc80b",
    "null": "a\0b",
    "line": "a\n::error::b",
    "command": "::add-mask::secret",
    "middle": "a ::error::b",
    "old command": "x ##[error]b",
    "azure": "x ##vso[task.setvariable]b",
}


def acts(text: str) -> bool:
    """Whether a terminal or a log would do something but show it."""
    return (
        any((ord(char) < 32 and char not in "\n\t") or 127 <= ord(char) < 160 for char in text)
        or any(char in text for char in "\u202e\u2066\u200f\u2028")
        or any(line.lstrip().startswith("::") for line in text.split("\n"))
        or "##[" in text
        or "##vso[" in text
    )


@pytest.mark.parametrize("text", ACTS.values(), ids=ACTS)
def test_shown_text_does_not_act_wherever_a_line_is_broken(text: str) -> None:
    safe = shown(text)
    assert not acts(safe)
    assert not any(acts(safe[place:]) for place in range(len(safe)))
    assert "\n" not in safe
    safe.encode()


def test_plain_text_stays_as_it_is() -> None:
    for text in ("café – naïve", "怪物 が 走る", "مرحبا بالعالم", "a:b c/d", "50 % # of 3", "family 👨\u200d👩"):
        assert escaped(text) == text
    assert shown("a fire-breathing monster: red, ×2") == "a fire-breathing monster: red, ×2"


@pytest.mark.parametrize("text", ACTS.values(), ids=ACTS)
@pytest.mark.parametrize("pieces", ["whole", "characters"])
def test_a_stream_lets_nothing_act(text: str, pieces: str) -> None:
    buffer = io.BytesIO()
    stream = _EscapedText(buffer, encoding="utf-8", errors="backslashreplace")
    for piece in [text] if pieces == "whole" else [text[:1], text[1:]]:
        stream.write(piece)
    stream.flush()
    if not (pieces == "characters" and text.startswith("::")):  # nothing of ours prints half a command
        assert not acts(buffer.getvalue().decode())


def test_a_terminal_keeps_colours_and_bars() -> None:
    for text in (
        "\x1b[1;31mred\x1b[0m",
        "\x1b[2K\x1b[1A\x1b[?25l",
        "\x1b]8;;https://a\x1b\\link\x1b]8;;\x1b\\",
        "\r 50 %",
    ):
        assert escaped(text, terminal=True) == text
    for name in ("title", "clipboard", "c1", "bell", "bidi"):
        assert acts(escaped(ACTS[name], terminal=True)) is False


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names of any bytes")
def test_names_of_files_folders_and_arguments(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/::error::\x1b[2J\xff"
    os.mkdir(folder)
    for name in (
        b"::stop-commands::x",
        b"\x1b]0;a\x07.png",
        b"\xff\xfe.png",
        "\u202egnp.exe".encode(),
        b"a\n::error::b",
    ):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(b"x")
    for command in (
        ["submission", "check", os.fsdecode(folder), "-c", "bestiary"],
        ["submission", "pack", os.fsdecode(folder), "--out", os.fsdecode(tmp_path) + "/a.zip"],
        ["submission", "check", ".", "-c", "::error::\x1b[2J"],
        ["submission", "sheet", "nowhere\x1b[2J\n::error::x", "-c", "bestiary", "--out", "sheet.png"],
        ["submission", "::error::\x1b[2J"],
        ["leaderboard", "check", "nowhere\x1b[2J\n::error::x"],
        ["leaderboard", "show", "--leaderboard", os.fsdecode(folder)],
    ):
        done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True)
        said = (done.stdout + b"\n" + done.stderr).decode()  # UTF-8, whatever the names are
        assert done.returncode in (2, 3, 4), said
        assert not acts(said), said
        assert "bug" not in said, said


def test_a_hint_repeats_no_foreign_text_in_a_command(tiny_competition, tiny_submission) -> None:
    competition = tiny_competition()
    folder = tiny_submission(competition)
    manifest = folder / "submission.json"
    manifest.write_text(manifest.read_text().replace('"tiny"', '"x; touch pwned"'))
    with pytest.raises(SubmissionError) as caught:
        Submission.open(folder, competition)
    problem = next(problem for problem in caught.value.problems if problem.name == "submission.json")
    assert isinstance(problem, Problem)
    assert "touch" in problem.what
    assert "touch" not in problem.hint
