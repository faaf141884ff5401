"""The scorer killed at any moment: board, scorecard and cache are whole or not there, and the next run completes."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import forked_command
import pytest
import torch

from leaderboard import board
from scorer.cache import references as reference_cache
from scorer.cache import results as result_cache
from submission import Scorecard
from submission.scorecard import Score

KILLS = 8


def rows(board: Path) -> list[dict[str, str]]:
    with board.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_killed_scorer_leaves_nothing_torn(tiny_competition, tiny_submission, tmp_path):
    competition = tiny_competition()
    submission = tiny_submission(competition)
    board, card = tmp_path / "board.csv", tmp_path / "card.json"
    words = [str(submission), "--competition", str(competition.root), "--name", "entry", "--json", str(card)]
    words += ["--leaderboard", str(board), "--device", "cpu"]
    said, cache = tmp_path / "said", str(tmp_path / "cache")

    def start(*more: str) -> BaseProcess:
        return forked_command.start([*words, *more], said, DRAWOFF_CACHE=cache, OMP_NUM_THREADS="1")

    forked_command.result(start("--limit", "1", "--no-leaderboard"), said)  # the process to fork from is there
    begun = time.monotonic()
    assert forked_command.result(start("--no-leaderboard", "--no-cache"), said).returncode == 0
    whole = time.monotonic() - begun
    first = json.loads(card.read_text())["scores"]
    rng = random.Random(0)
    for _ in range(KILLS):
        process = start()
        time.sleep(whole * rng.uniform(0.0, 1.0))
        process.kill()
        process.join()
        json.loads(card.read_text())
        if board.exists():
            assert len(rows(board)) <= 1

    again = forked_command.result(start(), said)
    assert again.returncode == 0, again.stderr
    assert [row["name"] for row in rows(board)] == ["entry"]
    assert json.loads(card.read_text())["scores"] == first


# How often the writers are killed; 200 takes about a minute and is for once in a while.
WRITER_KILLS = int(os.environ.get("DRAWOFF_TEST_KILLS", "30"))


def _card(number: int) -> Scorecard:
    return Scorecard(
        competition="tiny",
        submission=f"{number:064x}",
        name=f"entry {number}",
        n=8,
        scores={"fid": Score(float(number))},
        tiers=[],
        fingerprint={"protocol": 1, "competition": "tiny", "n": 8},
    )


def _write_for_ever(folder: Path, first: int, done: int) -> None:
    """Rows, results and features, one after the other; each row that is finished is told through the pipe `done`."""
    table = torch.arange(20_000, dtype=torch.float64).view(100, 200)
    for number in range(first, first + 100_000):
        reference_cache.write({"text": folder / "references" / "text.safetensors"}, {"text": table + number})
        result_cache.write(folder / "results" / "result.json", _card(number), {"psnr": [float(number)] * 8}, "files")
        board.append(folder / "board.csv", _card(number))
        os.write(done, number.to_bytes(8, "little"))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
def test_killed_writers_lose_no_finished_row_and_tear_no_file(tmp_path: Path) -> None:
    rng = random.Random(1)
    finished: set[str] = set()
    for kill in range(WRITER_KILLS):
        heard, told = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                _write_for_ever(tmp_path, kill * 100_000, told)
            finally:
                os._exit(1)
        os.close(told)
        with os.fdopen(heard, "rb", buffering=0) as pipe:
            numbers = [pipe.read(8) for _ in range(rng.randint(0, 3))]
            time.sleep(rng.expovariate(1 / 0.01))
            os.kill(child, signal.SIGKILL)
            assert os.waitpid(child, 0)[1] == signal.SIGKILL
            while number := pipe.read(8):
                numbers.append(number)
        finished |= {f"entry {int.from_bytes(number, 'little')}" for number in numbers}
        assert finished <= {row.name for row in board.read(tmp_path / "board.csv")}
        kept = reference_cache.read({"text": tmp_path / "references" / "text.safetensors"}, {"text": 100})
        for table in kept.values():
            assert torch.equal(table - table[0, 0], torch.arange(20_000, dtype=torch.float64).view(100, 200))
        result = tmp_path / "results" / "result.json"
        if result.exists():
            Scorecard.from_json(json.dumps(json.loads(result.read_text())["card"]))
    assert finished  # the kills came late enough to mean something
    board.append(tmp_path / "board.csv", _card(2**40))  # a killed writer's lock is free, its leftovers go
    reference_cache.write({"text": tmp_path / "references" / "text.safetensors"}, {"text": torch.zeros(1)})
    result_cache.write(tmp_path / "results" / "result.json", _card(1), {}, "files")
    assert not list(tmp_path.rglob("*.part"))
