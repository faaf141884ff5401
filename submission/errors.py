"""Errors, one type per kind of reader, and the exit codes that the commands turn them into.

| exit | raised as            | who reads it                                                   |
|------|----------------------|----------------------------------------------------------------|
| 2    | `UsageError`         | whoever typed the command                                      |
| 3    | `SubmissionError`    | the participant                                                |
| 3    | `CompetitionError`   | the host of the competition                                    |
| 4    | `MissingPart`        | whoever set the machine up: a file or a package is not there   |
| 4    | anything else        | us: it is a bug, and its traceback goes to a file              |
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import traceback
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from submission import commands, output, paths
from submission.library_messages import quiet_libraries

# A broken run of a generator spoils all images in the same way: twenty names show the pattern, a thousand bury it.
NAMES_SHOWN = 20
KINDS_SHOWN = 40


def shown(text: str, limit: int = 160) -> str:
    """Foreign text, safe to print wherever it comes to stand: control, bidirectional and unencodable characters and
    what a log takes for a command are escaped; cut at `limit`."""
    safe = "".join(
        char
        if unicodedata.category(char)[0] != "C" and char not in "\u2028\u2029"
        else char.encode("unicode_escape").decode()
        for char in text[: limit + 1]
    )
    # A long line is broken somewhere, so any "::" may come to begin one.
    safe = safe.replace("::", ":\\x3a").replace("##[", "#\\x23[").replace("##vso[", "#\\x23vso[")
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def shown_lines(text: str) -> str:
    """Foreign text of several lines, each of them as `shown`."""
    return "\n".join(shown(line, 2000) for line in text.split("\n")[:200])


def some(names: Sequence[str], count: int = 5) -> str:
    """The first `count` of foreign names, safe to print, and whether there are more."""
    return ", ".join(shown(name, 60) for name in names[:count]) + (" …" if len(names) > count else "")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the file or entry (`name`, "" for the whole), `what` it is, a `hint` on what to do."""

    name: str
    what: str
    hint: str = ""


def listing(problems: Iterable[Problem]) -> str:
    """The problems as indented lines, grouped by kind, so that one mistake made in 1000 images reads as one mistake."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for problem in problems:
        kinds.setdefault((problem.what, problem.hint), []).append(problem.name)
    lines: list[str] = []
    for (what, hint), names in list(kinds.items())[:KINDS_SHOWN]:
        what = shown(what, 400)
        if len(names) == 1:
            lines.append(f"  {shown(names[0])}: {what}" if names[0] else f"  {what}")
        else:
            lines.append(f"  {len(names)} × {what}:")
            lines += [f"      {shown(name)}" for name in names[:NAMES_SHOWN]]
            if len(names) > NAMES_SHOWN:
                lines.append(f"      … and {len(names) - NAMES_SHOWN} more")
        if hint:
            lines.append(f"    -> {shown(hint, 400)}")
    if len(kinds) > KINDS_SHOWN:
        lines.append(f"  … and {len(kinds) - KINDS_SHOWN} more kinds of problems")
    return "\n".join(lines)


def _with_listing(head: str, problems: Sequence[Problem]) -> str:
    return f"{head}\n{listing(problems)}" if problems else head


class UsageError(ValueError):
    """The command or the call was wrong. Exit code 2."""


class SubmissionError(ValueError):
    """The submission breaks rules; `problems` holds every one of them. For the participant. Exit code 3."""

    def __init__(self, problems: Sequence[Problem], where: str = "the submission") -> None:
        self.problems = list(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(_with_listing(f"{shown(where)} is not valid: {count}", self.problems))


class CompetitionError(ValueError):
    """The competition's own files are wrong: the file, the key or entry, what to do. For the host. Exit code 3."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        self.problems = list(problems)
        super().__init__(_with_listing(message, self.problems))


class MissingPart(RuntimeError):
    """Something this machine lacks: what, where it was looked for, and how to get it. Exit code 4."""

    def __init__(self, what: str, *, looked_for: object = "", get_it: str = "") -> None:
        more = {"looked for:": looked_for, "get it:": get_it}
        super().__init__("\n".join([what, *(f"  {label:<12}{text}" for label, text in more.items() if text)]))


def system_says(error: OSError) -> str:
    """What the operating system says, in a sentence: what was read or written, what is wrong, and what helps."""
    path = ""
    if isinstance(error.filename, str | bytes | os.PathLike):
        path = f"{shown(os.fsdecode(error.filename), 400)}: "
    elif error.errno == errno.ENOENT:  # no other call fails so without a name
        path = "the current folder: "
    what = error.strerror or str(error) or type(error).__name__
    hint = _HELPS.get(error.errno or 0, "")
    return f"{path}{shown(what, 400)}" + (f"\n  {hint}" if hint else "")


_FULL = (
    "make room, or write elsewhere (DRAWOFF_CACHE and TMPDIR move what is kept and what is only passing); then again"
)
_HELPS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "the size of a file is limited (ulimit -f), or the file system takes none so large",
    errno.EROFS: "that file system cannot be written to; write elsewhere",
    errno.EMFILE: "too many files are open at once (ulimit -n)",
    errno.EIO: "the disk or its connection fails; what was written before is whole",
}


def _is_of_memory(error: BaseException) -> bool:
    text = str(error) if isinstance(error, RuntimeError) else ""
    said = "can't allocate memory" in text or "not enough memory" in text
    return said or isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _describe_bug(error: BaseException) -> str:
    text = "".join(traceback.format_exception(error))
    message = f"this is a bug in drawoff: {type(error).__name__}: {shown(str(error), 400)}"
    try:
        folder = paths.cache_home()
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"traceback-{os.getpid()}.txt"
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
    except Exception:  # the error itself must be shown in any case
        return f"{message}\n  set DRAWOFF_TRACEBACK=1 to see where"
    return f"{message}\n  the traceback is in {file}"


def say(message: str) -> None:
    """Print a message on stderr: on any terminal and in any log, whatever foreign text is in it."""
    with contextlib.suppress(OSError, ValueError):  # standard error is closed
        print(output.escaped(message), file=sys.stderr, flush=True)


def exit_code(error: Exception) -> int:
    """The exit code that the table above gives an error."""
    return 2 if isinstance(error, UsageError) else 3 if isinstance(error, SubmissionError | CompetitionError) else 4


def explain(error: Exception) -> int:
    """Print what went wrong, for whom it concerns; the exit code."""
    if isinstance(error, UsageError | SubmissionError | CompetitionError):
        message = f"error: {error}"
    elif isinstance(error, MissingPart):
        message = f"missing: {error}"
    elif isinstance(error, paths.NoHome):
        message = f"missing: {error}\n  get it:     set DRAWOFF_CACHE to a folder that you may write to"
    elif isinstance(error, ImportError) and (error.name or "").partition(".")[0] not in ("", *paths.ROOMS):
        get_it = commands.environment(error.name)
        message = f"missing: the package {shown(error.name or str(error))}\n  get it:     {get_it}"
    elif _is_of_memory(error):
        message = "error: there is not enough memory\n  try a smaller --batch-size, or a machine with more"
    elif isinstance(error, OSError):
        message = f"error: {system_says(error)}"
    else:
        message = _describe_bug(error)
    say(message)
    return exit_code(error)


def run(main: Callable[[list[str] | None], int | None], argv: list[str] | None = None) -> int:
    """Call `main(argv)` and turn what it returns or raises into an exit code and one message on stderr.

    `DRAWOFF_TRACEBACK=1` lets the exception through, for whoever works on the code. What libraries say by themselves,
    errors apart, is not shown (`submission.library_messages`).
    """
    output.prepare()
    try:
        try:
            with quiet_libraries():
                code = main(argv) or 0
        finally:
            sys.stdout.flush()
        return code
    except SystemExit as stop:  # argparse, which has said its message, or code that says its own
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        say(f"error: {shown_lines(str(stop.code))}")
        return 2
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except Exception as error:
        if os.environ.get("DRAWOFF_TRACEBACK", "") not in ("", "0"):
            raise
        return explain(error)
