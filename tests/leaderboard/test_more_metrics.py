"""A metric more is a row in `submission/metrics.py`: board, ranking, tables and gate have it; boards stay readable."""

from __future__ import annotations

import csv
import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from leaderboard import append, editing, read
from leaderboard.__main__ import main
from submission import Competition, Scorecard
from submission.errors import run

# Runs a program in which `lpips` is a metric: its row is there before anything is imported that derives from the rows.
WITH_LPIPS = """
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("submission.metrics", sys.argv[1])
metrics = sys.modules["submission.metrics"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(metrics)
metrics.METRICS["lpips"] = metrics.Metric("lpips", "LPIPS", higher_is_better=False, digits=3, low=0)
import dataclasses
from leaderboard import append
from leaderboard.__main__ import main
from submission import Scorecard
from submission.scorecard import Score
folder, competition = Path(sys.argv[2]), sys.argv[3]
card = Scorecard.from_json((folder / "card.json").read_bytes())
for name, sha, lpips in (("sharp", "1", 0.25), ("blurred", "2", 0.75)):
    scores = {**card.scores, "lpips": Score(lpips, lpips - 0.01, lpips + 0.01)}
    made = dataclasses.replace(card, name=name, submission=sha * 64, scores=scores)
    append(folder / "board.csv", made)
    (folder / f"{name}.json").write_text(made.to_json())
words = ["--competition", competition, "--leaderboard", str(folder / "board.csv")]
main(["show", *words])
main(["table", *words])
main(["table", *words, "--format", "csv"])
for name in ("sharp", "blurred"):
    print(name, "exit code", main(["check", "--trust", str(folder / f"{name}.json"), *words]))
"""


@pytest.fixture
def told(
    tmp_path: Path, competition: Competition, make_card: Callable[..., Scorecard], monkeypatch: pytest.MonkeyPatch
) -> str:
    """What a version with one metric more says of a board that one without it began."""
    append(tmp_path / "board.csv", make_card(name="before"))
    (tmp_path / "card.json").write_text(make_card().to_json())
    file = competition.root / "competition.toml"
    file.write_text(file.read_text().replace("clip_t = 0.27", "clip_t = 0.27\nlpips = 0.5"))
    monkeypatch.setenv("COLUMNS", "110")
    import submission.metrics

    words = [sys.executable, "-c", WITH_LPIPS, submission.metrics.__file__, str(tmp_path), str(competition.root)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    file.write_text(file.read_text().replace("\nlpips = 0.5", ""))
    return done.stdout


def test_it_is_everywhere_and_its_board_is_readable_without_it(
    told: str, tmp_path: Path, competition: Competition, make_card: Callable[..., Scorecard], capsys
) -> None:
    lines = told.splitlines()
    assert any("LPIPS↓" in line for line in lines)
    assert next(line for line in lines if " sharp " in line).split()[:3] == ["1", "sharp", "1/2"]
    assert next(line for line in lines if " blurred " in line).split()[2] == "0/2"  # it misses the tier by LPIPS alone
    assert any(line.startswith("| sharp |") and line.endswith("| 0.250 |") for line in lines)
    assert any(line.startswith("| before |") and line.endswith("| – |") for line in lines)
    (header,) = [line for line in lines if line.startswith("model,")]
    assert "lpips" in header.split(",")
    assert "LPIPS ≤ 0.500 missed by 0.250" in " ".join(told.split())
    assert "sharp exit code 0" in lines
    assert "blurred exit code 1" in lines

    path = tmp_path / "board.csv"
    assert [row.name for row in read(path)] == ["before", "sharp", "blurred"]
    for words in (["show"], ["table"], ["table", "--format", "csv"]):
        assert run(main, [*words, "--competition", str(competition.root), "--leaderboard", str(path)]) == 0
        assert "blurred" in capsys.readouterr().out
    append(path, dataclasses.replace(make_card(name="after"), submission="3" * 64))
    editing.rename(path, "sharp", "renamed")
    editing.remove(path, "blurred")
    with path.open(newline="") as file:
        lines = {line["name"]: line for line in csv.DictReader(file)}
    assert {name: line["lpips"] for name, line in lines.items()} == {"before": "", "renamed": "0.25", "after": ""}
    with editing.history_path(path).open(newline="") as file:
        assert [line["lpips"] for line in csv.DictReader(file)] == ["0.25", "0.75"]
