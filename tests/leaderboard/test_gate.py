"""The gate's verdicts, exit codes and files, and the board as the command prints it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from leaderboard import append
from leaderboard.__main__ import main
from submission import Competition, Scorecard, Submission
from submission.errors import run

MakeCard = Callable[..., Scorecard]


@pytest.fixture(autouse=True)
def _outside_of_github(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


@pytest.fixture
def check(competition: Competition, tmp_path: Path) -> Callable[..., int]:
    """`python -m leaderboard check` on a scorecard that is trusted, or a path; the exit code."""

    def run_check(what: Scorecard | Path | None, *arguments: str) -> int:
        given = [] if what is None else [str(what)]
        if isinstance(what, Scorecard):
            (tmp_path / "card.json").write_text(what.to_json())
            given = ["--trust", str(tmp_path / "card.json")]
        return run(main, ["check", *given, "--competition", str(competition.root), *arguments])

    return run_check


@pytest.fixture
def folder(competition: Competition, tmp_path: Path) -> Path:
    path = tmp_path / "submission"
    path.mkdir()
    for index, prompt in enumerate(competition.prompts):
        Image.fromarray(np.full((16, 16, 3), index, np.uint8)).save(path / prompt.image_name)
    return path


@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        ({}, 0, "beats the gate"),
        ({"fid": 90.0, "clip_i": 0.75, "clip_t": 0.27}, 0, "beats the gate"),  # reaching a threshold is enough
        ({"fid": 90.01}, 1, "FID ≤ 90.00 missed by 0.01"),
        ({"fid": 90.0004}, 1, "FID ≤ 90.00 missed by 0.0004"),
        ({"clip_i": 0.7, "clip_t": 0.2}, 1, "CLIP-I ≥ 0.7500 missed by 0.0500, CLIP-T ≥ 0.2700 missed by 0.0700"),
        ({"fid": None}, 1, "cannot tell"),
        ({"fid": 80.0, "fid_interval": (75.0, 95.0)}, 1, "cannot tell at N = 3 whether monster beats the gate"),
        ({"fid": 80.0, "fid_interval": (75.0, 95.0)}, 1, "interval 75.00 … 95.00 holds the threshold"),
        ({"fid": 95.0, "fid_interval": (85.0, 99.0)}, 1, "cannot tell at N = 3"),
        ({"fid": 80.0, "fid_interval": (75.0, 95.0), "clip_t": 0.1}, 1, "does not beat"),  # sure of one is enough
        ({"fid": 80.0, "fid_interval": (75.0, 85.0)}, 0, "beats the gate"),
        ({"fid": 99.0, "fid_interval": (95.0, 105.0)}, 1, "does not beat"),
        ({"n": 2, "ranks": False}, 1, "scored on 2 of 3 images with --limit"),
        ({"n": 3, "ranks": False}, 1, "scored on 3 of 3 images with --limit"),  # all of them, and still no ranking
        ({"ssim": None, "psnr": None, "is": 1.0}, 0, "beats the gate"),  # the tier does not judge these
    ],
)
def test_verdicts(check, make_card: MakeCard, capsys, values: dict, code: int, words: str) -> None:
    assert check(make_card(**values)) == code
    assert words in " ".join(capsys.readouterr().out.split())


def test_another_tier_can_be_asked_for(check, make_card: MakeCard, capsys) -> None:
    assert check(make_card(), "--tier", "gold") == 1
    assert check(make_card(), "--tier", "platinum") == 2
    assert "baseline, gold" in capsys.readouterr().err


def test_a_competition_without_a_gate_needs_a_tier(check, make_card: MakeCard, competition, capsys) -> None:
    toml = competition.root / "competition.toml"
    toml.write_text(toml.read_text().replace('gate = "baseline"', ""))
    assert check(make_card()) == 2
    assert "--tier" in capsys.readouterr().err
    assert check(make_card(), "--tier", "baseline") == 0


def test_the_tiers_in_a_scorecard_are_not_believed(check, make_card: MakeCard, tmp_path: Path) -> None:
    forged = json.loads(make_card(fid=99.0).to_json())
    for tier in forged["tiers"]:
        tier["passed"] = True
    (tmp_path / "forged.json").write_text(json.dumps(forged))
    assert check(None, "--trust", str(tmp_path / "forged.json")) == 1


def test_a_trusted_scorecard_is_said_to_be_one_everywhere(check, make_card: MakeCard, tmp_path: Path, capsys) -> None:
    files = tmp_path / "gate.json", tmp_path / "gate.xml"
    assert check(make_card(), "--json", str(files[0]), "--junit", str(files[1])) == 0
    shown = "".join(capsys.readouterr().out.split())  # a long path is broken where a line ends
    sha256 = hashlib.sha256((tmp_path / "card.json").read_bytes()).hexdigest()
    for words in ("card.json is to be trusted", "NOT measured here", sha256[:12]):
        assert words.replace(" ", "") in shown
    assert json.loads(files[0].read_text())["trusted"] == {"file": str(tmp_path / "card.json"), "sha256": sha256}
    (told,) = ElementTree.parse(files[1]).iter("property")
    assert told.get("value", "").startswith("NOT measured here")


def test_a_trusted_scorecard_must_be_of_the_images(
    check, make_card: MakeCard, competition: Competition, folder: Path, tmp_path: Path, capsys
) -> None:
    card = json.loads(make_card().to_json()) | {"submission": Submission.open(folder, competition).sha256}
    (tmp_path / "theirs.json").write_text(json.dumps(card))
    assert check(folder, "--trust", str(tmp_path / "theirs.json")) == 0
    Image.fromarray(np.full((16, 16, 3), 9, np.uint8)).save(folder / competition.prompts[0].image_name)
    assert check(folder, "--trust", str(tmp_path / "theirs.json")) == 4
    assert "not of these images" in capsys.readouterr().err


def test_an_answer_that_nothing_was_judged(check, folder: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "nowhere" / "summary.md"))
    (tmp_path / "gate.json").write_text('{"passed": true}')
    for why, reason in {"drawing failed": "drawing failed", "": "no reason was given"}.items():
        assert check(folder, "--not-judged", why, "--json", str(tmp_path / "gate.json")) == 4
        answer = json.loads((tmp_path / "gate.json").read_text())
        assert (answer["passed"], answer["verdict"], answer["reason"]) == (False, "not judged", reason)
    assert "job summary could not be written" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--junit", "nowhere/junit.xml"], ["--tierr", "gold"]])
def test_no_earlier_answer_stays_where_another_argument_is_wrong(check, make_card: MakeCard, tmp_path, wrong) -> None:
    (tmp_path / "gate.json").write_text('{"passed": true}')
    assert check(make_card(), "--json", str(tmp_path / "gate.json"), *wrong) == 2
    assert not (tmp_path / "gate.json").exists()


def test_an_answer_may_go_to_a_descriptor(check, make_card: MakeCard, tmp_path: Path) -> None:
    with (tmp_path / "gate.json").open("w") as file:
        assert check(make_card(), "--json", f"/dev/fd/{file.fileno()}") == 0
    assert json.loads((tmp_path / "gate.json").read_text())["passed"] is True


def test_a_scorecard_alone_is_no_evidence(check, make_card: MakeCard, tmp_path: Path, capsys) -> None:
    (tmp_path / "card.json").write_text(make_card().to_json())
    assert check(tmp_path / "card.json") == 2
    assert "--trust" in capsys.readouterr().err


def test_exit_codes_of_what_cannot_be_judged(
    check, make_card: MakeCard, folder: Path, competition: Competition, tmp_path: Path
) -> None:
    assert check(tmp_path / "nowhere") == 4
    (folder / competition.prompts[0].image_name).unlink()
    (tmp_path / "card.json").write_text(make_card().to_json())
    assert check(folder, "--trust", str(tmp_path / "card.json")) == 3
    assert check(None, "--trust", str(tmp_path / "nowhere.json")) == 4
    (tmp_path / "broken.json").write_text('{"competition": "tiny"}')
    assert check(None, "--trust", str(tmp_path / "broken.json")) == 3
    other = json.loads(make_card().to_json()) | {"competition": "other"}
    (tmp_path / "other.json").write_text(json.dumps(other))
    assert check(None, "--trust", str(tmp_path / "other.json")) == 2
    for other in ({"prompts_sha256": "0" * 64}, {"inception": "clean"}, {"clip": "ViT-B-32"}):
        assert check(make_card(fingerprint=other)) == 4
    for nowhere in (str(tmp_path / "nowhere"), "~nosuchuser"):
        assert run(main, ["check", "--competition", nowhere]) == 3
    assert run(main, []) == 2


def test_the_newest_row_of_a_board_counts_only_when_it_is_trusted(
    check, make_card: MakeCard, tmp_path: Path, capsys
) -> None:
    board = tmp_path / "board.csv"
    append(board, make_card(name="good", content="1"))
    assert check(None, "--leaderboard", str(board)) == 2
    assert f"--trust {board}" in capsys.readouterr().err
    assert check(None, "--trust", str(board)) == 0
    assert "NOT measured here" in capsys.readouterr().out
    append(board, make_card(name="bad", content="2", fid=300.0))
    assert check(None, "--trust", str(board)) == 1
    assert "bad" in capsys.readouterr().out
    board.unlink()
    assert check(None, "--trust", str(board)) == 4


def test_the_newest_row_is_not_the_last_line(check, make_card: MakeCard, tmp_path: Path) -> None:
    board = tmp_path / "board.csv"
    append(board, make_card(name="good", content="1"), datetime(2026, 2, 1, tzinfo=UTC))
    append(board, make_card(name="bad", content="2", fid=300.0), datetime(2026, 1, 1, tzinfo=UTC))
    assert check(None, "--trust", str(board)) == 0


def test_the_answer_for_machines(check, make_card: MakeCard, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (tmp_path / "summary.md").write_text("before\n")
    card = make_card(name="<img src=x> | `a`\n# b", fid=95.0)
    assert check(card, "--json", str(tmp_path / "gate.json"), "--junit", str(tmp_path / "junit.xml")) == 1

    answer = json.loads((tmp_path / "gate.json").read_text())
    assert answer["passed"] is False
    assert answer["submission"] == card.submission
    fid, clip_i, clip_t = answer["metrics"]
    assert fid == {
        "metric": "fid",
        "value": 95.0,
        "low": None,
        "high": None,
        "threshold": 90.0,
        "direction": "lower",
        "difference": 5.0,
        "verdict": "does not beat the gate",
        "passed": False,
        "reason": "",
    }
    assert (clip_i["passed"], clip_i["direction"], clip_t["metric"]) == (True, "higher", "clip_t")

    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "0")
    assert [case.get("classname") for case in suite.iter("testcase")] == ["gate.fid", "gate.clip_i", "gate.clip_t"]
    assert [case.find("failure") is not None for case in suite.iter("testcase")] == [True, False, False]

    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("before\n### ❌")
    assert "<img" not in summary
    assert len([line for line in summary.splitlines() if line.startswith("#")]) == 1
    assert all(line.count("|") == 6 for line in summary.splitlines() if line.startswith("|"))


@pytest.mark.parametrize(
    ("target", "arguments", "code", "verdict"),
    [
        (None, [], 2, "not judged"),
        (None, ["--tier", "platinum"], 2, "not judged"),
        ("nowhere", [], 4, "not judged"),
        ("submission", ["--trust", "card.json"], 3, "invalid"),
    ],
)
def test_what_cannot_be_judged_is_told_to_machines_too(
    check, make_card, folder: Path, competition, tmp_path: Path, monkeypatch, target, arguments, code, verdict
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (tmp_path / "card.json").write_text(make_card().to_json())
    (folder / competition.prompts[0].image_name).write_bytes(b"GIF89a")
    (folder / "```<b>.png").write_bytes(b"")
    given = None if target is None else Path(target)
    assert check(given, *arguments, "--json", "gate.json", "--junit", "junit.xml") == code
    answer = json.loads((tmp_path / "gate.json").read_text())
    assert (answer["passed"], answer["exit_code"], answer["verdict"]) == (False, code, verdict)
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", "0", "1")
    heading, _, fence, *told, end, _ = (tmp_path / "summary.md").read_text().splitlines()
    assert heading == f"### ❌ {verdict}"
    assert fence == end + "text"
    assert not any(line.strip().startswith(end) for line in told)
    if code == 3:
        assert {problem["name"] for problem in answer["problems"]} == {"0_main.png", "```<b>.png"}
        assert "0_main.png" in answer["reason"]
        assert "```<b>.png" in "".join(told)
        assert end == "````"


@pytest.fixture
def show(competition: Competition, tmp_path: Path, capsys, monkeypatch) -> Callable[..., str]:
    """`python -m leaderboard show` at so many columns; what it printed."""

    def run_show(columns: int, *arguments: str) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        board = str(tmp_path / "board.csv")
        assert run(main, ["show", "--leaderboard", board, "--competition", str(competition.root), *arguments]) == 0
        return capsys.readouterr().out

    return run_show


@pytest.mark.parametrize("columns", [80, 120])
def test_the_board_fits_the_terminal_and_says_it_all(show, make_card: MakeCard, tmp_path: Path, columns: int) -> None:
    for number, name in enumerate(["monster", "my_model.py:AVeryLongClassNameIndeed", "[red]noise[/red]"]):
        append(tmp_path / "board.csv", make_card(name=name, content=name, fid=80.0 + 10 * number, psnr=12.345))
    text = show(columns)
    assert max(len(line) for line in text.splitlines()) <= columns
    for word in ("Tiny", "3 images", "FID↓", "CLIP-I↑", "CLIP-T↑", "IS↑", "PSNR↑", "SSIM↑", "gate: baseline"):
        assert word in text
    for value in ("80.00", "90.00", "100.00", "0.8000", "12.35", "[red]"):
        assert value in text
    if columns == 120:
        assert "-10.00" in text
        assert "+10.00" in text


def test_show_keeps_each_name_s_best_unless_all(show, make_card: MakeCard, tmp_path: Path) -> None:
    for fid in (80.0, 70.0):
        append(tmp_path / "board.csv", make_card(content=str(fid), fid=fid))
    assert "80.00" not in show(80)
    assert "1 more with --all" in show(80)
    assert "80.00" in show(80, "--all")


def test_an_empty_board_says_how_to_fill_it(show) -> None:
    assert "make score" in show(80)


def test_a_broken_board_is_an_error_that_names_the_line(tmp_path: Path, competition, capsys) -> None:
    for text in ("name,fid\na,1\n", "\n"):
        (tmp_path / "board.csv").write_text(text)
        assert run(main, ["show", "--leaderboard", str(tmp_path / "board.csv")]) == 3
        assert "board.csv, line 1: is not the header of a board" in capsys.readouterr().err
