"""`make score 2>&1 | cat`: the log of a run lives while it works, and holds nothing but our own lines."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from submission.paths import repo_root

# Waits before its second and third batch until the reader has seen what the log says of those before. It asks for a
# line after every tenth however soon, so that nobody has to wait for 30 seconds; the rule is tested with its own clock.
MODEL = """
import time
from pathlib import Path
import numpy as np
from submission import progress

progress.SECONDS_BETWEEN_LINES = 0

class Model:
    batch_size = 4

    def generate(self, prompts, seeds):
        batch = int(prompts[0].rpartition(" ")[2][:-1]) // self.batch_size
        while not Path(__file__).with_name(f"read-{batch}").exists():
            time.sleep(0.01)
        return np.stack([np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8) for seed in seeds])
"""


@contextmanager
def make_score(folder: Path, *variables: str) -> Iterator[subprocess.Popen[str]]:
    """`make score … 2>&1 | cat`, in a folder that has the Makefile and this environment; killed if it does not end."""
    root = repo_root()
    for name in ("Makefile", "targets.py", "pyproject.toml", "constraints.txt"):
        (folder / name).symlink_to(root / name)
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (folder / ".venv" / "bin" / "python").chmod(0o755)
    (folder / ".venv" / ".complete").touch()
    command = f"set -o pipefail; make score {' '.join(variables)} 2>&1 | cat"
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    }
    environment |= {"DRAWOFF_CACHE": str(folder / "cache")}
    process = subprocess.Popen(
        ["bash", "-c", command], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = threading.Timer(600, lambda: os.killpg(process.pid, 9))
    deadline.start()
    try:
        yield process
    finally:
        deadline.cancel()
        if process.poll() is None:
            os.killpg(process.pid, 9)
        process.communicate()


def test_a_log_lives_while_it_is_drawn_and_scored(
    tiny_competition: Callable, foreign_lines: Callable[[str], list[str]], tmp_path: Path
) -> None:
    competition = tiny_competition(12)
    (tmp_path / "my_model.py").write_text(MODEL)
    variables = ("MODEL=my_model.py:Model", f"COMPETITION={competition.root}", "SCORER_ARGS=--no-leaderboard")
    with make_score(tmp_path, *variables) as process:
        lines = []

        def until(wanted: str) -> None:
            while not re.search(wanted, line := process.stdout.readline()):
                assert line, f"the log ends without {wanted!r}:\n{''.join(lines)}"
                lines.append(line)
            lines.append(line)

        what = "drawing with my_model.py:Model"
        until(f"^{what}: 0 of 12$")
        (tmp_path / "read-0").touch()  # only now is the first batch drawn
        until(rf"^{what}: 4 of 12, .*, .* left$")
        (tmp_path / "read-1").touch()
        until(rf"^{what}: 8 of 12, .*, .* left$")
        (tmp_path / "read-2").touch()
        until(rf"^{what}: 12 of 12 in .*")
        until("^scoring images: 0 of 12$")
        until("^scoring images: 12 of 12 in .*")
        until("^reading prompts: 0 of 12$")
        until("^reading prompts: 12 of 12 in .*")
        scored = process.stdout.read()
        assert process.wait() == 0, scored
    assert foreign_lines("".join(lines)) == [
        "submission/out/tiny/my_model-Model: complete, 12 drawn now: 12 images by my_model.py:Model, seed 0"
    ]
    assert "FID" in scored
