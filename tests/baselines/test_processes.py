"""Several launched processes draw what one draws, and a failure of one is the failure of all."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from baselines.processes import shard_of
from submission import Submission
from submission.launcher import Place, place
from submission.paths import repo_root

ADDRESS = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Place()),
        ({"WORLD_SIZE": "4", "RANK": "2", **ADDRESS}, Place(2, 4)),
        ({"WORLD_SIZE": "8"}, Place()),  # left over from a cluster
        ({"WORLD_SIZE": "8", "RANK": "3"}, Place()),
        ({"WORLD_SIZE": "8", "RANK": "x", **ADDRESS}, Place()),
        ({"WORLD_SIZE": "2", "RANK": "2", **ADDRESS}, Place()),
    ],
)
def test_only_a_launcher_launches(environment: dict[str, str], expected: Place) -> None:
    assert place(environment) == expected


@pytest.mark.parametrize(("shards", "count"), [(1, 2), (3, 2), (2, 3)])
def test_shares_of_shards_are_every_image_once(shards: int, count: int) -> None:
    numbers = range(25)
    drawn = []
    for shard in range(shards):
        for rank in range(count):
            first, step = shard_of((shard, shards), Place(rank, count))
            drawn += numbers[first::step]
    assert sorted(drawn) == list(numbers)


def launch(out: Path, model: str, competition: Path, count: int, *more: str) -> list[subprocess.Popen[str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "baselines", model, "--competition", str(competition), "--out", str(out), *more]
    return [
        subprocess.Popen(
            command, env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=repo_root(),
        )
        for rank in range(count)
    ]  # fmt: skip


def test_two_processes_draw_the_same_bytes_as_one(tmp_path, tiny_competition) -> None:
    competition = tiny_competition(7)
    ends = [process.communicate() for process in launch(tmp_path / "two", "noise", competition.root, 2)]
    one = launch(tmp_path / "one", "noise", competition.root, 1)[0]
    assert one.communicate()[1] is not None
    assert "complete, 7 drawn now: 7 images by noise" in ends[0][0]
    assert ends[1] == ("", "")
    two, alone = (Submission.open(tmp_path / name, competition) for name in ("two", "one"))
    assert two.manifest == alone.manifest
    for prompt in competition.prompts:
        name = prompt.image_name
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


def test_where_one_process_fails_none_says_complete(tmp_path, tiny_competition) -> None:
    competition = tiny_competition(4)
    (tmp_path / "half.py").write_text(
        "import os, numpy as np\n"
        "class Half:\n"
        "    def generate(self, prompts, seeds):\n"
        "        if os.environ['RANK'] == '1': raise RuntimeError('no memory left')\n"
        "        return np.zeros((len(prompts), 64, 64, 3), np.uint8)\n"
    )
    processes = launch(tmp_path / "out", f"{tmp_path}/half.py:Half", competition.root, 2)
    ends = [(*process.communicate(), process.returncode) for process in processes]
    assert [code for *_, code in ends] == [4, 4]
    assert "no memory left" in ends[1][1]
    assert "another process has stopped" in ends[0][1]
