"""Two real processes with gloo: the scorecard of one; only the first writes; both refuse what one cannot read."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import forked_command
import numpy as np
import pytest
from PIL import Image

from leaderboard import board
from scorer import score
from scorer.frechet import feature_statistics, frechet_distance
from scorer.parallel import ALONE, Processes

ROOT = Path(__file__).resolve().parents[2]


def environments(count: int = 2) -> list[dict[str, str]]:
    """What torchrun gives each of `count` processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    together = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    return [{**together, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


@pytest.fixture
def launch(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., list[subprocess.CompletedProcess[str]]]:
    """`launch(words)` scores in two processes, each a command of its own."""

    def begin(words: list[str]) -> list[subprocess.CompletedProcess[str]]:
        command = [sys.executable, "-W", "error::ResourceWarning", "-m", "scorer", *words]
        processes = [start(command, cwd=ROOT, env={**os.environ, **variables}) for variables in environments()]
        said = [process.communicate() for process in processes]
        return [
            subprocess.CompletedProcess(command, process.returncode, *texts)
            for process, texts in zip(processes, said, strict=True)
        ]

    return begin


@pytest.fixture
def forked(tmp_path: Path) -> Callable[[list[str] | str], list[subprocess.CompletedProcess[str]]]:
    """`forked(words)`, or `forked(code)`: the same without the imports of two commands."""

    def begin(words: list[str] | str) -> list[subprocess.CompletedProcess[str]]:
        said = [tmp_path / f"said{rank}" for rank in range(2)]
        both = zip(said, environments(), strict=True)
        processes = [forked_command.start(words, place, **variables) for place, variables in both]
        return [forked_command.result(process, place) for process, place in zip(processes, said, strict=True)]

    return begin


FID_OF_TWO = """
import numpy as np, torch
from scorer import parallel
from scorer.metrics.fid import FID
processes = parallel.start()
features = torch.from_numpy(np.load({features!r}))
shard = processes.shard(len(features))
fid = FID()
fid.update(features[shard.start : shard.stop], features[shard.start : shard.stop].flip(1))
np.save({fids!r} + f"-{{processes.rank}}.npy", fid.compute())
parallel.stop()
"""


@pytest.mark.slow
def test_the_fid_over_two_processes_is_that_of_one(tmp_path: Path, forked: Callable) -> None:
    features = np.maximum(np.random.default_rng(7).normal(0.3, 1, (1063, 176)), 0).astype(np.float32)
    np.save(tmp_path / "features.npy", features)
    for process in forked(FID_OF_TWO.format(features=str(tmp_path / "features.npy"), fids=str(tmp_path / "fid"))):
        assert process.returncode == 0, process.stderr
    distance = frechet_distance(features, *feature_statistics(features[:, ::-1].copy()))
    for rank in range(2):
        together = np.load(tmp_path / f"fid-{rank}.npy")
        np.testing.assert_allclose(together, distance, rtol=1e-9)  # as torchmetrics joins the states


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "started"), [(13, "forked"), (180, "launch")], ids=["fewer images than features", "more"]
)
def test_two_processes_give_the_scorecard_of_one(
    tiny_competition: Callable,
    tiny_submission: Callable,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    n: int,
    started: str,
) -> None:
    competition = tiny_competition(n)
    entry = tiny_submission(competition)
    (entry / "submission.json").unlink()
    for name in (competition.prompts[0].image_name, competition.prompts[-1].image_name):  # one in each process's share
        Image.open(entry / name).save(entry / name, "JPEG")
    alone = score(entry, competition, "cpu", cache=False, progress=False)
    words = [str(entry), "--competition", str(competition.root), "--device", "cpu", "--batch-size", "4"]
    words += ["--json", str(tmp_path / "card.json"), "--csv", str(tmp_path / "images.csv")]
    words += ["--leaderboard", str(tmp_path / "board.csv")]
    first, second = request.getfixturevalue(started)(words)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "FID" in first.stdout
    assert second.stdout == ""
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["submission"] == alone.submission
    assert card["fingerprint"] == alone.fingerprint
    assert card["notes"] == alone.notes
    assert any(note.startswith(f"2 of {n} images, such as 0_main.png, are JPEG files") for note in card["notes"])
    for name, value in alone.scores.items():
        assert card["scores"][name]["value"] == pytest.approx(value.value, rel=1e-5, abs=1e-6), name
    assert len((tmp_path / "images.csv").read_text().splitlines()) == n + 1
    assert len(board.read(tmp_path / "board.csv")) == 1


@pytest.mark.slow
def test_a_problem_of_the_second_is_a_problem_of_both(
    tiny_competition: Callable, tiny_submission: Callable, tmp_path: Path, forked: Callable
) -> None:
    competition = tiny_competition(8)
    entry = tiny_submission(competition)
    (entry / "submission.json").unlink()
    name = competition.prompts[-1].image_name
    (entry / name).write_bytes(b"not an image")
    words = [str(entry), "--competition", str(competition.root), "--device", "cpu", "--no-leaderboard"]
    first, second = forked([*words, "--json", str(tmp_path / "card.json")])
    assert (first.returncode, second.returncode) == (3, 3), first.stderr + second.stderr
    assert name in first.stderr
    assert name not in second.stderr
    assert not (tmp_path / "card.json").exists()


@pytest.mark.parametrize("n", [0, 1, 2, 7, 1063])
@pytest.mark.parametrize("count", [1, 2, 3, 16])
def test_shares_cover_everything_once(n: int, count: int) -> None:
    shares = [Processes(rank, count).shard(n) for rank in range(count)]
    assert [row for share in shares for row in share] == list(range(n))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_alone_nothing_is_sent() -> None:
    assert ALONE.first
    assert ALONE.gather({"a": 1}) == [{"a": 1}]
    assert ALONE.from_first([1]) == [1]
