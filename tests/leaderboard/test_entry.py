"""The gate believes what this machine's scorer measured: no scorecard that somebody wrote, copied or cut passes it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from tiny_competition import toml

import scorer.__main__
from leaderboard import entry
from leaderboard.__main__ import main
from submission import Competition
from submission.errors import run

N = 12
TOML = toml("prompts.csv", {"fid": 90.0, "clip_i": 0.75}, references="references", image_size=64)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Competition:
    """Its gate asks for FID and CLIP-I, which copies of the references reach. Twelve images of four texts."""
    root = tmp_path_factory.mktemp("tiny")
    (root / "references").mkdir()
    rng = np.random.default_rng(0)
    for index in range(N):
        pixels = np.full((64, 64, 3), 255, np.uint8)
        y, x = rng.integers(4, 32, 2)
        pixels[y : y + 28, x : x + 28] = rng.integers(0, 255, 3)
        Image.fromarray(pixels).save(root / "references" / f"{index}_main.png")
    lines = [f"{index}_main,A slime of kind {index % 4}." for index in range(N)]
    (root / "prompts.csv").write_text("\n".join(["id,prompt", *lines]) + "\n")
    (root / "competition.toml").write_text(TOML)
    return Competition.load(root)


@pytest.fixture(scope="module")
def cache_of_all(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache_of_all: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One cache for all tests here: the two submissions that most of them judge are measured once."""
    monkeypatch.setenv("DRAWOFF_CACHE", str(cache_of_all))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


@pytest.fixture
def good(tiny: Competition, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny.root / "references", tmp_path / "good"))


@pytest.fixture
def noise(tiny: Competition, tmp_path: Path) -> Path:
    folder = tmp_path / "noise"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for prompt in tiny.prompts:
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(folder / prompt.image_name)
    return folder


@pytest.fixture
def scorer_here(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The scorer in this process, which has loaded torch already; each command line that it was given."""
    calls = []

    def in_process(arguments: Sequence[str]) -> int:
        calls.append(list(arguments))
        return run(scorer.__main__.main, arguments)

    monkeypatch.setattr(entry, "run_scorer", in_process)
    return calls


@pytest.fixture
def check(tiny: Competition, scorer_here: list) -> Callable[..., int]:
    """`python -m leaderboard check`; the exit code."""

    def run_check(submission: Path, *arguments: str) -> int:
        return run(main, ["check", str(submission), "--competition", str(tiny.root), *arguments])

    return run_check


def scored(submission: Path, competition: Competition, *arguments: str) -> None:
    """`make score`'s scorecard, beside the submission."""
    card = submission.with_name(f"{submission.name}.scorecard.json")
    command = [str(submission), "--competition", str(competition.root), "--json", str(card), "--no-leaderboard"]
    assert run(scorer.__main__.main, [*command, *arguments]) == 0


def test_the_right_ones_pass_and_fail(check, good: Path, noise: Path, capsys) -> None:
    assert check(good) == 0
    assert "measured by the scorer of this machine" in capsys.readouterr().out
    assert check(noise) == 1


def forged(good: Path, noise: Path, competition: Competition) -> None:
    """Its own scorecard, edited: perfect scores in every place."""
    scored(noise, competition)
    file = noise.with_name("noise.scorecard.json")
    card = json.loads(file.read_text())
    for metric, value in {"fid": 1.0, "clip_i": 0.99, "clip_t": 0.9}.items():
        card["scores"][metric] = {"value": value, "low": value - 0.01, "high": value + 0.01}
    file.write_text(json.dumps(card))


def stale(good: Path, noise: Path, competition: Competition) -> None:
    """Scored when it was good, drawn anew since; the scorecard is the newer file."""
    for image in good.iterdir():
        shutil.copy(image, noise / image.name)
    scored(noise, competition)
    rng = np.random.default_rng(1)
    for image in noise.iterdir():
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(image)
        os.utime(image, (0, 0))


def copied(good: Path, noise: Path, competition: Competition) -> None:
    """A good submission's scorecard and manifest, with the hash of the content made to fit."""
    scored(noise, competition)
    own = json.loads(noise.with_name("noise.scorecard.json").read_text())
    scored(good, competition)
    card = json.loads(good.with_name("good.scorecard.json").read_text()) | {"submission": own["submission"]}
    noise.with_name("noise.scorecard.json").write_text(json.dumps(card))


def limited(good: Path, noise: Path, competition: Competition) -> None:
    """Scored with a limit that leaves out nothing, and edited: neither hash nor bounds were held against such."""
    scored(noise, competition, "--limit", str(N))
    file = noise.with_name("noise.scorecard.json")
    card = json.loads(file.read_text())
    card["scores"] |= {"fid": {"value": 1.0, "low": 0.5, "high": 2.0}, "clip_i": {"value": 0.9, "low": 0.8, "high": 1}}
    file.write_text(json.dumps(card))


@pytest.mark.parametrize("attack", [forged, stale, copied, limited])
def test_no_scorecard_beside_a_submission_helps_it(
    check, good: Path, noise: Path, tiny: Competition, capsys, attack: Callable
) -> None:
    attack(good, noise, tiny)
    capsys.readouterr()
    assert check(noise) == 1
    assert "does not beat the gate" in capsys.readouterr().out


def test_a_limit_never_passes_however_many_it_leaves(check, good: Path, capsys) -> None:
    assert check(good, "--", "--limit", str(N)) == 1
    assert f"scored on {N} of {N} images with --limit" in " ".join(capsys.readouterr().out.split())
    assert check(good, "--", "--limit", "4") == 1


def test_the_note_of_a_limit_counts_images(good: Path, tiny: Competition, tmp_path: Path) -> None:
    scored(good, tiny, "--limit", "5")  # five images, four texts
    (note,) = [one for one in json.loads((tmp_path / "good.scorecard.json").read_text())["notes"] if "first" in one]
    assert note.startswith(f"scored the first 5 of {N} images")


def test_what_is_known_is_not_measured_again(check, good: Path, monkeypatch) -> None:
    assert check(good) == 0
    monkeypatch.setattr(sys.modules["scorer.score"], "measure", lambda *_, **__: pytest.fail("it was measured already"))
    assert check(good) == 0


def test_a_result_in_the_cache_that_was_edited_is_measured_again(check, noise: Path, cache_of_all: Path) -> None:
    assert check(noise) == 1
    for kept in (cache_of_all / "results").glob("*.json"):
        value = json.loads(kept.read_text())
        value["card"]["scores"] |= {metric: {"value": 0.99, "low": 0.98, "high": 0.995} for metric in ("fid", "clip_i")}
        kept.write_text(json.dumps(value))
    assert check(noise) == 1


def test_a_submission_is_never_the_scorer_s_subcommand(check, good: Path, tmp_path: Path, monkeypatch) -> None:
    good.rename(tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    assert check(Path("cache")) == 0


@pytest.mark.parametrize("options", [["--precision", "fast"], ["--competition", "bestiary", "--json", "mine.json"]])
def test_the_scorer_s_options_cannot_change_what_is_judged(check, noise: Path, options, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert check(noise, "--", *options) in (1, 4)
    assert not (tmp_path / "mine.json").exists()


def test_an_invalid_submission_has_its_files(check, good: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (good / "0_main.png").write_bytes(b"<b>&amp;\x1b[31m")
    (good / "1_main.png").unlink()
    (good / "<script>.png").write_bytes(b"")
    files = tmp_path / "gate.json", tmp_path / "junit.xml"
    assert check(good, "--json", str(files[0]), "--junit", str(files[1])) == 3
    error = capsys.readouterr().err
    assert error.count("0_main.png") == 1  # said once
    answer = json.loads(files[0].read_text())
    assert (answer["verdict"], answer["passed"], answer["exit_code"]) == ("invalid", False, 3)
    assert {problem["name"] for problem in answer["problems"]} == {"0_main.png", "1_main.png", "<script>.png"}
    case = ElementTree.parse(files[1]).getroot().find("testcase/error")
    assert case is not None
    assert "<script>.png" in (case.text or "")
    assert (tmp_path / "summary.md").read_text().startswith("### ❌ invalid")


def test_it_is_another_process_that_no_file_beside_it_gets_into(good: Path, tiny: Competition, tmp_path: Path) -> None:
    """As a participant's folder may look: the modules that the scorer imports, under their names."""
    trap = tmp_path / "trap"
    trap.mkdir()
    for name in ("numpy", "torch", "scorer", "submission", "json"):
        (trap / f"{name}.py").write_text(f"open({str(tmp_path / 'touched')!r}, 'w')")
    environment = {**os.environ, "PYTHONPATH": str(Path(entry.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "leaderboard", "check", str(good), "--competition", str(tiny.root)],
        cwd=trap, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
    assert "beats the gate" in done.stdout
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(("code", "expected"), [(-9, 4), (0, 4), (1, 4), (77, 4), (4, 4), (3, 3), (130, 130)])
def test_a_scorer_that_ends_without_an_answer(
    check, good: Path, monkeypatch, tmp_path, code: int, expected: int
) -> None:
    monkeypatch.setattr(entry, "run_scorer", lambda _: code)
    (tmp_path / "gate.json").write_text('{"passed": true}')  # of an earlier run
    assert check(good, "--json", str(tmp_path / "gate.json")) == expected
    if expected == 130:
        assert not (tmp_path / "gate.json").exists()
    else:
        assert json.loads((tmp_path / "gate.json").read_text())["passed"] is False


@pytest.mark.parametrize("broken", [False, True])
def test_no_answer_replaces_the_competition(check, tiny: Competition, broken: bool, tmp_path: Path, capsys) -> None:
    own = shutil.copytree(tiny.root, tmp_path / "own")
    if broken:
        (own / "competition.toml").write_text("[competition")
    files = {own / name: (own / name).read_bytes() for name in ["competition.toml", "prompts.csv"][: 2 - broken]}
    for path in files:
        for option in ("--json", "--junit"):
            assert check(tiny.root, "--competition", str(own), option, str(path)) == 2
            assert "the competition's" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in files} == files
