"""The scorer killed at any moment: board, scorecard and cache are whole or not there, and the next run completes."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KILLS = 4


def rows(board: Path) -> list[dict[str, str]]:
    with board.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_killed_scorer_leaves_nothing_torn(tiny_competition, tiny_submission, tmp_path):
    competition = tiny_competition()
    submission = tiny_submission(competition)
    board, card = tmp_path / "board.csv", tmp_path / "card.json"
    words = [str(submission), "--competition", str(competition.root), "--name", "entry", "--json", str(card)]
    command = [sys.executable, "-m", "scorer", *words, "--leaderboard", str(board), "--device", "cpu"]
    environment = os.environ | {"DRAWOFF_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}

    begun = time.monotonic()
    subprocess.run([*command, "--no-leaderboard"], cwd=ROOT, env=environment, check=True, capture_output=True)
    whole = time.monotonic() - begun
    first = json.loads(card.read_text())["scores"]
    rng = random.Random(0)
    for _ in range(KILLS):
        # The second half: the first is spent on imports.
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(whole * rng.uniform(0.5, 1.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
        json.loads(card.read_text())
        if board.exists():
            assert len(rows(board)) <= 1

    again = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert [row["name"] for row in rows(board)] == ["entry"]
    assert json.loads(card.read_text())["scores"] == first
