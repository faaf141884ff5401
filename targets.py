"""What each word of the Makefile runs: `python targets.py WORD`, with the Makefile's variables in the environment.

Their text is foreign to every shell: it becomes elements of argument lists here, and nothing else ever reads it.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from typing import ClassVar

from drawoff import trainers
from submission.child_process import environment, exit_code, module
from submission.competition import Competition
from submission.errors import UsageError, run
from submission.paths import readable, submission_folder

Command = list[str]
Commands = Generator[Command, None, None]


class Failed(Exception):
    """A command has ended with `code`, which is not 0; thrown into the word that it belongs to."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Variables:
    """The Makefile's variables; one that is empty is one that was not given."""

    NEEDED: ClassVar = {"MODEL": "monster", "COMPETITION": "bestiary"}

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def __getitem__(self, name: str) -> str:
        return self._environment.get(name) or self.NEEDED.get(name, "")

    def given(self, name: str) -> bool:
        """Whether the user set it: the Makefile lists those in GIVEN."""
        return name in self["GIVEN"].split() and bool(self._environment.get(name))

    def number(self, name: str, default: int = 0) -> int:
        """Raises UsageError when it is no whole number from 0 on."""
        text = self[name].strip()
        if not text:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 20):
            raise UsageError(f"{name} is {text!r}; it must be a whole number from 0 on")
        return int(text)

    def words(self, name: str) -> list[str]:
        """Several words in one variable, quoted as in a shell. Raises UsageError."""
        try:
            words = shlex.split(self[name])
        except ValueError as error:
            raise UsageError(f"{name} is {self[name]!r}: {error}") from None
        return [os.path.expanduser(word) if word.startswith("~/") else word for word in words]

    def path(self, name: str) -> str:
        """Never mistaken for an option."""
        return f"./{self[name]}" if self[name].startswith("-") else self[name]

    def option(self, flag: str, name: str) -> list[str]:
        """`--flag=VALUE`, as one word, so that a value may start with a dash; nothing when it was not given."""
        return [f"--{flag}={self[name]}"] if self[name] else []

    @property
    def competition(self) -> list[str]:
        return self.option("competition", "COMPETITION")

    @property
    def hardware(self) -> list[str]:
        """Where and how networks draw and train."""
        return [*self.option("device", "DEVICE"), *self.option("precision", "PRECISION")]

    @property
    def submission(self) -> str:
        """The user's own, or the folder that MODEL draws into.

        Raises:
            CompetitionError: there is no such competition.
            UsageError: MODEL or SEED names no folder.
        """
        if self["SUBMISSION"]:
            return self.path("SUBMISSION").rstrip("/") or "/"
        name = Competition.load(self["COMPETITION"]).name
        return str(readable(submission_folder(name, self["MODEL"], self.number("SEED"))))


def data(v: Variables, words: str = "ARGS") -> Commands:
    """The competition's prepare.py, which finds the Makefile's other variables in its environment."""
    competition, options = Competition.load(v["COMPETITION"]), v.words(words)
    if competition.prepare is None:
        yield module("submission", "data", *v.competition)
    elif competition.is_shipped:
        yield module(f"competitions.{competition.name}.prepare", *options)
    else:
        yield [sys.executable, str(competition.prepare), *options]


def submission(v: Variables) -> Commands:
    options = [*v.competition, f"--out={v.submission}", *v.option("seed", "SEED"), *v.hardware]
    options += [*v.option("limit", "LIMIT"), *v.option("batch-size", "BATCH_SIZE")]
    yield module("baselines", v.path("MODEL"), *options, *v.words("ARGS"))


def score(v: Variables) -> Commands:
    # A submission that the user names is theirs: it is scored as it is and never drawn into.
    if not v["SUBMISSION"]:
        yield from submission(v)
    scored = f"{v.submission}.first-{v.number('LIMIT')}" if v["LIMIT"] else v.submission
    options = [*v.competition, *v.option("name", "NAME"), f"--json={scored}.scorecard.json"]
    options += [f"--csv={scored}.per-image.csv"]  # where `python -m submission sheet --worst` looks for it
    options += [*v.option("device", "DEVICE"), *v.option("limit", "LIMIT")]
    yield module("scorer", v.submission, *options, *v.words("SCORER_ARGS"))
    sheet = f"{v.submission}.sheet.png"
    yield module("submission", "sheet", v.submission, *v.competition, *v.option("name", "NAME"), f"--out={sheet}")
    print(flush=True)
    yield module("leaderboard", "show", *v.competition)
    print(f"Contact sheet: {sheet}", flush=True)


def check(v: Variables) -> Commands:
    # What MODEL would draw now is what is judged: drawing goes on, finds nothing left to do, or refuses a folder that
    # another model, file or setting drew. A submission that the user names is judged as it is.
    judge = module("leaderboard", "check", v.submission, *v.competition, *v.words("CHECK_ARGS"))
    if not v["SUBMISSION"]:
        try:
            yield from submission(v)
        except Failed as failed:
            with suppress(Failed):  # the files that CHECK_ARGS asks for say so; those of an earlier run would not
                yield [*judge, f"--not-judged=drawing with {v['MODEL']} failed (exit code {failed.code})"]
            raise
    options = [*v.option("name", "NAME"), *v.option("device", "DEVICE"), *v.option("limit", "LIMIT")]
    yield [*judge, "--", *options, *v.words("SCORER_ARGS")]


def validate(v: Variables) -> Commands:
    yield module("submission", "validate", v.submission, *v.competition, *v.words("ARGS"))


def table(v: Variables) -> Commands:
    yield module("leaderboard", "table", *v.competition, *v.option("format", "FORMAT"), *v.words("ARGS"))


def leaderboard(v: Variables) -> Commands:
    only = v.competition if v.given("COMPETITION") else []
    yield module("leaderboard", "show", *only, *v.words("ARGS"))


def pack(v: Variables) -> Commands:
    yield module("submission", "pack", v.submission, *v.competition, "--out=submission.zip", *v.words("ARGS"))


def train(v: Variables) -> Commands:
    known, model = trainers(), v["MODEL"]
    if model not in known:
        raise UsageError(f"make train knows how to train {' '.join(known)}, not {model}.")
    of_monster = [*v.option("preset", "PRESET"), *(["--dry-run"] if v["DRY_RUN"] not in ("", "0") else [])]
    if model == "monster":
        of_monster += v.competition
    elif of_monster:
        raise UsageError(f"PRESET and DRY_RUN are for MODEL=monster, not {model}.")
    if not v["DATA"] and Competition.load(v["COMPETITION"]).prepare is not None:
        # ARGS are the training's. Where the data cannot be made, the training says what is missing of it.
        yield from data(v, words="")
    options = [f"--data={v.path('DATA')}"] if v["DATA"] else []
    yield module(known[model], *of_monster, *options, *v.hardware, *v.words("ARGS"))


def sweep(v: Variables) -> Commands:
    from baselines.registry import guided

    scales, words = v.words("GUIDANCE"), v.words("ARGS")
    try:
        list(map(float, scales))
    except ValueError:
        raise UsageError(f"GUIDANCE is {v['GUIDANCE']!r}; it must be numbers with spaces between them") from None
    guided(v["MODEL"])
    yield from data(v, words="")
    yield module("experiments.sweep", v.path("MODEL"), *v.hardware, *words, "--guidance", *scales)


def bench(v: Variables) -> Commands:
    yield module("benchmarks.scorer", *v.words("ARGS"))


def test(v: Variables, *options: str) -> Commands:
    # A process for each core, each with one thread: most tests keep no more than one busy.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    yield [sys.executable, "-m", "pytest", "--numprocesses=auto", "--dist=worksteal", *options, *v.words("ARGS")]


def test_fast(v: Variables) -> Commands:
    yield from test(v, "--fast")


_WORDS = (data, submission, score, check, validate, leaderboard, table, pack, train, sweep, bench, test, test_fast)
WORDS: dict[str, Callable[[Variables], Commands]] = {word.__name__.replace("_", "-"): word for word in _WORDS}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the commands of the word in `argv` one after the other; the first exit code that is not 0, or 0."""
    words = list(sys.argv[1:] if argv is None else argv)
    if len(words) != 1 or words[0] not in WORDS:
        raise UsageError(f"say one word: {', '.join(WORDS)}")
    commands = WORDS[words[0]](Variables(os.environ))
    try:
        for command in commands:
            while code := _finished(command):
                command = commands.throw(Failed(code))
    except Failed as failed:
        return failed.code
    return 0


def _finished(command: Command) -> int:
    """The exit code of the command; the signals that this process gets are passed on to it."""
    code = exit_code(command, env=environment() if command[1] == "-P" else None)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    raise SystemExit(run(main))
