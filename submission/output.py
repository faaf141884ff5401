"""Standard output as terminals and pipes have it: what it cannot encode, and a reader who leaves early."""

from __future__ import annotations

import codecs
import io
import sys

# Signs of ours in ASCII. Never "?", which the board and the gate print for "cannot tell".
_ASCII = {
    "✓": "+",
    "✗": "x",
    "✔": "+",
    "✘": "x",
    "–": "-",
    "—": "-",
    "−": "-",
    "…": "...",
    "·": "|",
    "×": "x",
    "±": "+/-",
    "≥": ">=",
    "≤": "<=",
    "≈": "~",
    "↑": "^",
    "↓": "v",
    "→": "->",
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
    "�": "#",
    "\N{NO-BREAK SPACE}": " ",
}
_HANDLER = "drawoff.ascii"


def _in_ascii(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    return _ASCII.get(character, character.encode("unicode_escape").decode()), error.start + 1


codecs.register_error(_HANDLER, _in_ascii)


class _Patient(io.FileIO):
    """A file whose reader may leave: what is written after that goes nowhere, and is no error.

    So a command that is piped into `head` does its work to the end, and its exit code is its own.
    """

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


def prepare() -> None:
    """Let standard output take every character, and outlive its reader; the same for standard error."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, stream := _patient(stream))
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_HANDLER)


def _patient(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """A stream that writes to the same file and outlives its reader; `stream` itself where it is of another kind."""
    buffer = getattr(stream, "buffer", None)
    if type(getattr(buffer, "raw", buffer)) is not io.FileIO:
        return stream
    try:
        stream.flush()
        raw = _Patient(stream.fileno(), "w", closefd=False)
    except (OSError, ValueError):
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(raw) if hasattr(buffer, "raw") else raw,  # `python -u` has no buffer
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
