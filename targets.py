"""What each word of the Makefile runs: `python targets.py WORD`, with the Makefile's variables in the environment.

Their text is foreign to every shell: it becomes elements of argument lists here, and nothing else ever reads it.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from subprocess import CalledProcessError

from drawoff import trainers
from submission.child_process import environment, exit_code, module
from submission.competition import Competition
from submission.errors import UsageError, run
from submission.paths import readable, submission_folder

Command = list[str]
Commands = Generator[Command, None, None]


_NEEDED = {"MODEL": "monster", "COMPETITION": "bestiary"}


class Variables:
    """The Makefile's variables; one that is empty is one that was not given."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def __getitem__(self, name: str) -> str:
        return self._environment.get(name) or _NEEDED.get(name, "")

    def given(self, name: str) -> bool:
        """Whether the user set it: the Makefile lists those in GIVEN."""
        return name in self["GIVEN"].split() and bool(self._environment.get(name))

    def number(self, name: str) -> int:
        """0 when it was not given. Raises UsageError when it is no whole number from 0 on."""
        text = self[name].strip() or "0"
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

    def options(self, *flags: str) -> list[str]:
        """`--batch-size=VALUE` of BATCH_SIZE, as one word, so that a value may start with a dash; and so on. Nothing of
        what was not given."""
        values = {flag: self[flag.upper().replace("-", "_")] for flag in flags}
        return [f"--{flag}={value}" for flag, value in values.items() if value]

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
        yield module("submission", "data", *v.options("competition"))
    elif competition.is_shipped:
        yield module(f"competitions.{competition.name}.prepare", *options)
    else:
        yield [sys.executable, str(competition.prepare), *options]


def submission(v: Variables) -> Commands:
    options = v.options("seed", "device", "precision", "limit", "batch-size")
    out = f"--out={v.submission}"
    yield module("baselines", v.path("MODEL"), *v.options("competition"), out, *options, *v.words("ARGS"))


def score(v: Variables) -> Commands:
    # A submission that the user names is theirs: it is scored as it is and never drawn into.
    if not v["SUBMISSION"]:
        yield from submission(v)
    scored = f"{v.submission}.first-{v.number('LIMIT')}" if v["LIMIT"] else v.submission
    of = [v.submission, *v.options("competition", "name")]
    # The second is where `python -m submission sheet --worst` looks for it.
    outputs = [f"--json={scored}.scorecard.json", f"--csv={scored}.per-image.csv"]
    yield module("scorer", *of, *outputs, *v.options("device", "limit"), *v.words("SCORER_ARGS"))
    sheet = f"{v.submission}.sheet.png"
    yield module("submission", "sheet", *of, f"--out={sheet}")
    print(flush=True)
    yield module("leaderboard", "show", *v.options("competition"))
    print(f"Contact sheet: {sheet}", flush=True)


def check(v: Variables) -> Commands:
    # What MODEL would draw now is what is judged: drawing goes on, finds nothing left to do, or refuses a folder that
    # another model, file or setting drew. A submission that the user names is judged as it is.
    judge = module("leaderboard", "check", v.submission, *v.options("competition"), *v.words("CHECK_ARGS"))
    if not v["SUBMISSION"]:
        try:
            yield from submission(v)
        except CalledProcessError as failed:
            # The files that CHECK_ARGS asks for say so; those of an earlier run would not.
            with suppress(CalledProcessError):
                yield [*judge, f"--not-judged=drawing with {v['MODEL']} failed (exit code {failed.returncode})"]
            raise
    yield [*judge, "--", *v.options("name", "device", "limit"), *v.words("SCORER_ARGS")]


def validate(v: Variables) -> Commands:
    yield module("submission", "validate", v.submission, *v.options("competition"), *v.words("ARGS"))


def table(v: Variables) -> Commands:
    yield module("leaderboard", "table", *v.options("competition", "format"), *v.words("ARGS"))


def leaderboard(v: Variables) -> Commands:
    only = v.options("competition") if v.given("COMPETITION") else []
    yield module("leaderboard", "show", *only, *v.words("ARGS"))


def pack(v: Variables) -> Commands:
    options = [*v.options("competition"), "--out=submission.zip"]
    yield module("submission", "pack", v.submission, *options, *v.words("ARGS"))


def train(v: Variables) -> Commands:
    known, model = trainers(), v["MODEL"]
    if model not in known:
        raise UsageError(f"make train knows how to train {' '.join(known)}, not {model}.")
    of_monster = [*v.options("preset"), *(["--dry-run"] if v["DRY_RUN"] not in ("", "0") else [])]
    if model == "monster":
        of_monster += v.options("competition")
    elif of_monster:
        raise UsageError(f"PRESET and DRY_RUN are for MODEL=monster, not {model}.")
    if not v["DATA"] and Competition.load(v["COMPETITION"]).prepare is not None:
        # ARGS are the training's. Where the data cannot be made, the training says what is missing of it.
        yield from data(v, words="")
    options = [f"--data={v.path('DATA')}"] if v["DATA"] else []
    yield module(known[model], *of_monster, *options, *v.options("device", "precision"), *v.words("ARGS"))


def sweep(v: Variables) -> Commands:
    from baselines.registry import guided

    scales, words = v.words("GUIDANCE"), v.words("ARGS")
    try:
        list(map(float, scales))
    except ValueError:
        raise UsageError(f"GUIDANCE is {v['GUIDANCE']!r}; it must be numbers with spaces between them") from None
    guided(v["MODEL"])
    yield from data(v, words="")
    yield module("experiments.sweep", v.path("MODEL"), *v.options("device", "precision"), *words, "--guidance", *scales)


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
                # Into the word that it belongs to, which may have an answer.
                command = commands.throw(CalledProcessError(code, command))
    except CalledProcessError as failed:
        return failed.returncode
    return 0


def _finished(command: Command) -> int:
    """The exit code of the command; the signals that this process gets are passed on to it."""
    code = exit_code(command, env=environment() if command[1] == "-P" else None)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    raise SystemExit(run(main))
