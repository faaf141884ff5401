"""Standard output and standard error as terminals, pipes and logs have them.

What they cannot encode, a reader who leaves early, a stream that was closed, a full disk, and foreign text that would
act: on a terminal by its escape sequences, in the log of a continuous integration by a line that is a command.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# In ASCII what stands for signs of ours. Never "?", which the board and the gate print for "cannot tell".
_IN_ASCII = {
    "+": "✓✔",
    "x": "✗✘×",
    "-": "–—−",
    "...": "…",
    "|": "·",
    "+/-": "±",
    ">=": "≥",
    "<=": "≤",
    "~": "≈",
    "^": "↑",
    "v": "↓",
    "->": "→",
    "'": "’‘",
    '"': "“”",
    "#": "�",
    " ": "\N{NO-BREAK SPACE}",
}
_ASCII = {sign: text for text, signs in _IN_ASCII.items() for sign in signs}
_HANDLER = "drawoff.ascii"


def _in_ascii(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    return _ASCII.get(character, character.encode("unicode_escape").decode()), error.start + 1


codecs.register_error(_HANDLER, _in_ascii)


# Control, bidirectional and invisible characters, but for tab, line end and what `rich` writes to a terminal.
_CONTROL = (
    "\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
)
_OF_A_TERMINAL = r"\x1b(?!\[[0-9;]*[ABCDEFGHJKm]|\[\?25[hl]|\]8;[^\x07\x1b]*\x1b\\|\\)"
_ON_A_TERMINAL = re.compile(f"[{_CONTROL}]|{_OF_A_TERMINAL}")
_IN_A_LOG = re.compile(f"[{_CONTROL}\x1b]|\r(?!\n)")
# GitHub's runner acts on a line that begins with "::", and on "##[" anywhere; Azure's on "##vso[".
_COMMAND = re.compile(r"##(?=\[|vso\[)|^[ \t]*::", re.MULTILINE)


def _as_escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def _not_a_command(match: re.Match[str]) -> str:
    return match[0][:-1] + f"\\x{ord(match[0][-1]):02x}"


def escaped(text: str, *, terminal: bool = False, line_start: bool = True) -> str:
    """`text` without control characters and without lines that are commands in a log.

    `terminal` lets colours and the movements of a progress bar pass; `line_start`: whether it begins a line.
    """
    text = (_ON_A_TERMINAL if terminal else _IN_A_LOG).sub(_as_escape, text)
    if "::" in text or "##" in text:
        kept = text if line_start else f"|{text}"  # a sign before it, so that it begins no line
        text = _COMMAND.sub(_not_a_command, kept)[0 if line_start else 1 :]
    return text


class _WithoutBrokenPipe(io.FileIO):
    """A file whose reader may leave: what is written after that goes nowhere, and is no error.

    So a command that is piped into `head` does its work to the end, and its exit code is its own. Another error of the
    system, such as a full disk, is raised once, with the name of the stream.
    """

    broken = False

    def write(self, data: ReadableBuffer, /) -> int:
        if self.broken:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except BlockingIOError:
            raise
        except OSError as error:
            self.broken = True
            if isinstance(error, BrokenPipeError):
                return memoryview(data).nbytes
            error.filename = {1: "standard output", 2: "standard error"}.get(self.fileno(), "output")
            raise


class _EscapedText(io.TextIOWrapper):
    """A text stream that escapes control characters and a log's commands."""

    _line_start = True

    def write(self, text: str, /) -> int:
        if text:
            safe = escaped(text, terminal=self.isatty(), line_start=self._line_start)
            super().write(safe)
            self._line_start = text.endswith(("\n", "\r"))
        return len(text)


def prepare() -> None:
    """Let standard output take every text, and outlive its reader; the same for standard error."""
    _fill_closed()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, stream := _wrapped(stream))
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_HANDLER)


def _fill_closed() -> None:
    """Where a standard stream is closed (`>&-`), open nothing there: else the next file that is opened would be it, and
    get what is printed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)  # the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 -- as long as the process


def _wrapped(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """A stream that writes to the same file and outlives its reader; `stream` itself where it is of another kind."""
    buffer = getattr(stream, "buffer", None)
    if type(getattr(buffer, "raw", buffer)) is not io.FileIO:
        return stream
    try:
        stream.flush()
        raw = _WithoutBrokenPipe(stream.fileno(), "w", closefd=False)
    except (OSError, ValueError):
        return stream
    return _EscapedText(
        io.BufferedWriter(raw) if hasattr(buffer, "raw") else raw,  # `python -u` has no buffer
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
