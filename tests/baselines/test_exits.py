"""A generator's code that ends the program has not drawn: an error, with its words, whatever its exit code."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

import baselines
from baselines.draw import Request, draw
from baselines.generator import GeneratorError

SECOND = """
import os, sys, threading
calls = []
whole = Model.generate
def generate(self, prompts, seeds):
    calls.append(0)
    if len(calls) > 1: {}
    return whole(self, prompts, seeds)
Model.generate = generate
"""


def drawn(model: str, competition, out: Path) -> None:
    draw(Request(baselines.registry.recipe(model, competition), competition, device="cpu"), out)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "import sys\ndef main(): return 0\nsys.exit(main())\n",
            r"cannot be loaded: it ended the program: sys.exit\(0\)",
        ),
        ("raise SystemExit\n", r"sys.exit\(None\)\n  at .*my_model.py, line \d+"),
        ("import os\nos._exit(0)\n", r"cannot be loaded: it ended the program: os._exit\(0\)\n  at .*my_model.py"),
        ("import argparse\nargparse.ArgumentParser().parse_args(['--x'])\n", r"sys.exit\(2\)"),
        (
            "class Model(Model):\n    def __init__(self): exit('no GPU')\n",
            "raised: it ended the program: no GPU",
        ),
        ("Model.settings = property(lambda self: exit(1))\n", r"attribute settings cannot be read: .*sys.exit\(1\)"),
        ("import asyncio\nraise asyncio.CancelledError\n", "CancelledError"),
    ],
)
def test_a_file_that_ends_the_program_is_an_error(tiny_competition, model_file, tmp_path, body, said) -> None:
    with pytest.raises(GeneratorError, match=said) as caught:
        drawn(model_file(body), tiny_competition(2), tmp_path / "a")
    assert 'if __name__ == "__main__":' in str(caught.value) or "Cancelled" in said
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ("sys.exit(0)", r"sys.exit\(0\)"),
        ("quit()", r"sys.exit\(None\)"),
        ("sys.exit('CUDA out of memory')", r"program: CUDA out of memory[\s\S]*smaller --batch-size"),
        ("os._exit(0)", r"os._exit\(0\)"),
        ("os.execv('/bin/true', ['true'])", r"os.execv\('/bin/true'\)"),
        ("os.execlp('true', 'true')", r"os.execv"),
        ("sys.exit('\\x1b[2Jgone')", r"program: \\x1b\[2Jgone"),
    ],
)
def test_generate_that_ends_the_program_keeps_what_was_drawn(
    tiny_competition, model_file, tmp_path, ends, said
) -> None:
    with pytest.raises(GeneratorError, match=said) as caught:
        drawn(model_file(SECOND.format(ends)), tiny_competition(8), tmp_path / "a")
    assert caught.value.__notes__ == [f"  4 images are kept in {tmp_path / 'a'}; the same command goes on from there"]
    assert len(list((tmp_path / "a").glob("*.png"))) == 4


@pytest.mark.parametrize(
    "ends",
    [
        "sys.exit('CUDA out of memory')",
        "threading.Thread(target=lambda: os._exit(0)).start() or __import__('time').sleep(30)",
        "__import__('atexit').register(lambda: os._exit(0)) and sys.exit('CUDA out of memory')",
    ],
)
def test_the_command_fails_and_tells_why(tiny_competition, model_file, tmp_path, command, ends) -> None:
    model = model_file(SECOND.format(ends))
    process = command(model, "--competition", tiny_competition(8).root, "--out", tmp_path / "a")
    _, errors = process.communicate()
    assert process.returncode == 4
    assert "ended the program" in errors
    assert "CUDA out of memory" in errors or "in a thread: os._exit(0)" in errors
    assert "bug in drawoff" not in errors


def test_a_process_that_was_forked_may_end(tiny_competition, model_file, tmp_path) -> None:
    body = SECOND.format("0") + "assert os.waitpid(os.fork() or os._exit(7), 0)[1] >> 8 == 7\n"
    drawn(model_file(body), tiny_competition(8), tmp_path / "a")
    assert len(list((tmp_path / "a").glob("*.png"))) == 8


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_words_of_a_thread_that_ended_itself_are_told(tiny_competition, model_file, tmp_path, capsys) -> None:
    body = SECOND.format("run = threading.Thread(target=sys.exit, args=('no GPU',)); run.start(); run.join()")
    drawn(model_file(body), tiny_competition(8), tmp_path / "a")
    assert "a thread of the generator ended itself: no GPU" in capsys.readouterr().err


def test_what_is_replaced_comes_back(tiny_competition, model_file, tmp_path) -> None:
    before = os._exit, os.execv, os.execve, threading.excepthook
    drawn(model_file(), tiny_competition(2), tmp_path / "a")
    assert (os._exit, os.execv, os.execve, threading.excepthook) == before


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("np.random.seed(seeds[0])", True),
        ("np.random.RandomState(seeds[0])", True),
        ("np.int32(seeds[0])", True),
        ("__import__('torch').tensor(max(seeds))", True),
        ("__import__('ctypes').c_int(seeds[0]) and (1).to_bytes(0, 'big')", False),
        ("[][seeds[0] % 2]", False),
    ],
)
def test_a_seed_that_is_too_large_is_explained(tiny_competition, model_file, tmp_path, body, told) -> None:
    """Of the eight seeds of four images some have 64 bits, whatever the images are called."""
    model = model_file(f"def generate(self, prompts, seeds):\n    return {body}\nModel.generate = generate\n")
    with pytest.raises(GeneratorError, match=r"my_model.py, line \d+, in generate") as caught:
        drawn(model, tiny_competition(8), tmp_path / "a")
    assert ("seeds have 64 bits" in str(caught.value)) == told
