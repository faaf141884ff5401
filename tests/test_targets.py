"""The Makefile's words: what they run, and that the text of a variable stays text."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import targets
from submission.errors import CompetitionError, UsageError
from submission.paths import submission_folder, submissions_home

ROOT = Path(__file__).resolve().parent.parent
VARIABLES = [
    "MODEL", "COMPETITION", "SUBMISSION", "NAME", "SEED", "DEVICE", "PRECISION", "LIMIT", "BATCH_SIZE", "ARGS",
    "SCORER_ARGS", "CHECK_ARGS", "GUIDANCE", "CAPTIONS", "IMAGES", "N", "FORMAT", "PRESET", "DATA", "DRY_RUN",
    "TORCH_INDEX", "CONSTRAINTS",
]  # fmt: skip
# Each runs something, or ends the rule early, in a shell or in make.
HOSTILE = [
    "x'; touch pwned; echo 'y",
    '"; touch pwned; echo "',
    "$(shell touch pwned)",
    "$(touch pwned)",
    "`touch pwned`",
    "$100 costs ${HOME} and $$",
    "x) ; touch pwned # (",
    "a\nb: ; touch pwned\n\ttouch pwned",
    "Zoë's, 100 % \\ «model»",
    "a,b) $(eval override run := touch pwned)",
]
# In the place of .venv/bin/python: says what it was given.
WITNESS = """#!{python}
import json, os, sys
print(json.dumps([sys.argv[1:], dict(os.environ)]))
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").write_text(WITNESS.format(python=sys.executable))
    (tmp_path / ".venv/bin/python").chmod(0o755)
    (tmp_path / ".venv/.complete").touch()
    return tmp_path


def make(checkout: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(["make", *arguments], cwd=checkout, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_variables_text_is_only_text(checkout: Path, text: str) -> None:
    there = sorted(os.listdir(checkout))
    everywhere = dict.fromkeys([*VARIABLES, "UNHEARD_OF", "python_", "typed"], text)
    typed = [f"{name}={value}" for name, value in everywhere.items()]
    for word in ("score", "data", "check", "train"):
        for done in (make(checkout, word, *typed), make(checkout, word, **everywhere)):
            assert done.returncode == 0, done.stderr
            command, environment = json.loads(done.stdout)
            assert command == ["targets.py", word]
            assert {name: environment[name] for name in VARIABLES} == dict.fromkeys(VARIABLES, text)
    for done in (make(checkout, "--dry-run", "score", *typed), make(checkout, "--dry-run", "score", **everywhere)):
        assert done.stdout == ".venv/bin/python targets.py score\n"
    assert make(checkout, "help", *typed).returncode == 0
    assert f"NAME         {text}\n" in make(checkout, "help", **everywhere).stdout
    (checkout / ".venv/.complete").unlink()
    make(checkout, "env", *typed, f"PYTHON={text}")
    make(checkout, "env", **everywhere, PYTHON=text)
    assert sorted(os.listdir(checkout)) == there


def test_what_the_user_set_is_known(checkout: Path) -> None:
    given = make(checkout, "leaderboard", "COMPETITION=bestiary", SEED="3").stdout
    assert json.loads(given)[1]["GIVEN"].split() == ["COMPETITION", "SEED"]


def test_the_name_of_a_windows_computer_is_no_entrys(checkout: Path) -> None:
    computer = {"WSL_DISTRO_NAME": "Ubuntu", "NAME": "DESKTOP-1"}
    assert json.loads(make(checkout, "score", **computer).stdout)[1]["NAME"] == ""
    assert json.loads(make(checkout, "score", "NAME=mine", **computer).stdout)[1]["NAME"] == "mine"


def commands(word: str, **variables: str) -> list[list[str]]:
    """What the word runs, without the interpreter: each begins with a module."""
    found = [command[1:] for command in targets.WORDS[word](targets.Variables(variables))]
    assert all(options == ["-P", "-m"] for *options, _ in (command[:3] for command in found))
    return [words for _, _, *words in found]


def test_a_submission_is_drawn_and_scored() -> None:
    drawn = "submission/out/bestiary/noise-seed3"
    draw, score, sheet, show = commands("score", MODEL="noise", SEED="3", DEVICE="cpu", LIMIT="8", NAME="it's $1")
    assert draw == [
        "baselines", "noise", "--competition=bestiary", f"--out={drawn}", "--seed=3", "--device=cpu", "--limit=8",
    ]  # fmt: skip
    assert score[:3] == ["scorer", drawn, "--competition=bestiary"]
    assert {"--name=it's $1", f"--json={drawn}.first-8.scorecard.json", "--device=cpu", "--limit=8"} <= set(score)
    assert f"--csv={drawn}.first-8.per-image.csv" in score
    assert sheet[:3] == ["submission", "sheet", drawn]
    assert "--name=it's $1" in sheet
    assert show == ["leaderboard", "show", "--competition=bestiary"]


def test_the_scorer_names_an_entry_that_the_user_did_not() -> None:
    assert not any(word.startswith("--name") for word in commands("score", SUBMISSION="x")[0])


def test_a_users_own_submission_is_never_drawn_into() -> None:
    first = commands("score", SUBMISSION="mine/")[0]
    assert first[:2] == ["scorer", "mine"]
    assert "--json=mine.scorecard.json" in first


def test_the_gate_judges_what_the_model_would_draw_now() -> None:
    draw, check = commands("check", MODEL="my_model.py:MyModel", SEED="3", LIMIT="8", CHECK_ARGS="--json 'a b.json'")
    drawn = "submission/out/bestiary/my_model-MyModel-seed3"
    assert draw[:4] == ["baselines", "my_model.py:MyModel", "--competition=bestiary", f"--out={drawn}"]
    assert check == ["leaderboard", "check", drawn, "--competition=bestiary", "--json", "a b.json", "--", "--limit=8"]


@pytest.mark.parametrize(("word", "ran"), [("check", 2), ("score", 1)])
def test_a_drawing_that_failed_is_the_answer(monkeypatch, word: str, ran: int) -> None:
    """The gate's files are written anew, so that an earlier run's are not read as this one's."""
    commands: list[list[str]] = []

    def fail(command: list[str]) -> int:
        commands.append(command[3:])
        return 3 + len(commands)

    monkeypatch.setattr(targets, "_finished", fail)
    monkeypatch.setenv("MODEL", "noise")
    monkeypatch.setenv("CHECK_ARGS", "--json gate.json")
    monkeypatch.delenv("SUBMISSION", raising=False)
    assert targets.main([word]) == 4  # the drawing's own
    assert len(commands) == ran
    assert commands[0][0] == "baselines"
    if word == "check":
        assert commands[1][:2] == ["leaderboard", "check"]
        assert commands[1][-3:] == ["--json", "gate.json", "--not-judged=drawing with noise failed (exit code 4)"]


def test_the_gate_judges_a_users_own_submission_as_it_is() -> None:
    (check,) = commands("check", SUBMISSION="mine", NAME="x", SCORER_ARGS="--no-cache", DEVICE="cpu")
    own = ["--", "--name=x", "--device=cpu", "--no-cache"]
    assert check == ["leaderboard", "check", "mine", "--competition=bestiary", *own]


def test_more_options_are_quoted_as_in_a_shell() -> None:
    (check,) = commands("validate", SUBMISSION="-x", ARGS="--a 'my file' \"$HOME\" ~/b $(c)")
    assert check == [
        "submission", "validate", "./-x", "--competition=bestiary", "--a", "my file", "$HOME",
        os.path.expanduser("~/b"), "$(c)",
    ]  # fmt: skip
    with pytest.raises(UsageError, match="No closing quotation"):
        commands("validate", SUBMISSION="x", ARGS="it's")


def test_arithmetic_and_device_go_to_what_draws() -> None:
    (auto,) = commands("submission", DEVICE="auto", PRECISION="auto")
    assert "--precision=auto" in auto
    draw, score, *_ = commands("score", DEVICE="cuda:1", PRECISION="float32")
    assert {"--device=cuda:1", "--precision=float32"} <= set(draw)
    assert "--device=cuda:1" in score
    assert "--precision=float32" not in score  # the scorer's means something else
    *_, train = commands("train", MODEL="stable", DEVICE="cpu", PRECISION="float32")
    assert train == ["baselines.stable_diffusion.train", "--device=cpu", "--precision=float32"]
    assert commands("train", MODEL="backbones")[-1] == ["experiments.backbones"]


def test_the_board_is_of_all_competitions_unless_one_is_named() -> None:
    assert commands("leaderboard", COMPETITION="bestiary", GIVEN="SEED") == [["leaderboard", "show"]]
    only = commands("leaderboard", COMPETITION="coco2014", GIVEN="COMPETITION")
    assert only == [["leaderboard", "show", "--competition=coco2014"]]


def test_data_is_what_the_competitions_folder_prepares() -> None:
    assert commands("data", ARGS="--n 3") == [["competitions.bestiary.prepare", "--n", "3"]]
    assert commands("data", COMPETITION="coco2014") == [["competitions.coco2014.prepare"]]
    assert commands("data", COMPETITION="brainrot") == [["submission", "data", "--competition=brainrot"]]


def test_a_path_is_never_taken_for_a_shipped_competition(tmp_path) -> None:
    for name in ("bestiary", "coco2014"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "competition.toml").write_text(f'[competition]\nname = "{name}"\nprompts = "p.csv"\n')
        path = str(tmp_path / name)
        assert commands("data", COMPETITION=path) == [["submission", "data", f"--competition={path}"]]


def test_a_competition_of_ones_own_is_prepared_by_its_own_script(tmp_path) -> None:
    (tmp_path / "competition.toml").write_text('[competition]\nname = "bestiary"\nprompts = "p.csv"\n')
    (tmp_path / "prepare.py").write_text("")
    for path in (tmp_path, tmp_path / "competition.toml"):
        (command,) = targets.data(targets.Variables({"COMPETITION": str(path), "ARGS": "--n 3"}))
        assert command == [sys.executable, str(tmp_path / "prepare.py"), "--n", "3"]


def test_training_makes_its_data_first() -> None:
    assert commands("train", MODEL="vq", ARGS="--out o") == [
        ["competitions.bestiary.prepare"], ["baselines.vq_diffusion.train", "--out", "o"],
    ]  # fmt: skip
    assert commands("sweep", MODEL="glide", GUIDANCE="1 2.5", ARGS="--steps 12") == [
        ["competitions.bestiary.prepare"], ["experiments.sweep", "glide", "--steps", "12", "--guidance", "1", "2.5"],
    ]  # fmt: skip
    for wrong, why in (
        ({"GUIDANCE": "1,2"}, "GUIDANCE is '1,2'"),
        ({"MODEL": "noise"}, "noise has no --guidance-scale to sweep"),
    ):
        with pytest.raises(UsageError, match=why):
            commands("sweep", **{"MODEL": "glide", "GUIDANCE": "1"} | wrong)
    with pytest.raises(UsageError, match=r"knows how to train monster glide .*, not noise"):
        commands("train", MODEL="noise")


def test_the_monster_is_trained_by_a_preset_on_any_data() -> None:
    variables = {"COMPETITION": "maplestory", "PRESET": "maplestory"}
    # Nothing can make the course's data: the training itself says what is missing.
    assert commands("train", **variables) == [
        ["baselines.monster.train", "--preset=maplestory", "--competition=maplestory"]
    ]
    assert commands("train", **variables, DATA="-d", DRY_RUN="1", ARGS="--skip-bad") == [
        [
            "baselines.monster.train", "--preset=maplestory", "--dry-run", "--competition=maplestory", "--data=./-d",
            "--skip-bad",
        ]
    ]  # fmt: skip
    assert commands("train", MODEL="stable", DATA="mine") == [["baselines.stable_diffusion.train", "--data=mine"]]
    with pytest.raises(UsageError, match="for MODEL=monster"):
        commands("train", MODEL="vq", DRY_RUN="1")


@pytest.mark.parametrize(
    ("model", "seed", "folder"),
    [
        ("monster", 0, "pets/monster"),
        ("noise", 3, "pets/noise-seed3"),
        ("ideas/my_model.py:MyModel", 0, "pets/my_model-MyModel"),
        ("my_model.py:MyModel", 1, "pets/my_model-MyModel-seed1"),
        (r"C:\ideas\my model.py:Größe", 0, "pets/my model-Größe"),
        ("my_model.py", 0, "pets/my_model"),
    ],
)
def test_a_submission_has_its_own_folder(model: str, seed: int, folder: str) -> None:
    assert submission_folder("pets", model, seed) == submissions_home() / folder


@pytest.mark.parametrize(
    "name", ["..", ".", "", "/", "a/..", "../../x/..", "a\0b", "-rf", "con", "x" * 300, "é\udc80", " "]
)
def test_no_name_leads_out_of_the_submissions(name: str) -> None:
    for competition, model, seed in (("pets", name, 0), (name, "monster", 0), (name, name, 1)):
        folder = submission_folder(competition, model, seed)
        assert Path(os.path.normpath(folder)).parent.parent == submissions_home()
    assert submission_folder("pets", name) != submission_folder("pets", name + "_")


@pytest.mark.parametrize("competition", ["..", "../..", "/", "submission", "no such"])
def test_what_is_no_competition_draws_nowhere(competition: str) -> None:
    with pytest.raises(CompetitionError, match="there is no competition"):
        commands("submission", COMPETITION=competition)


def test_an_error_is_a_sentence() -> None:
    environment = {**os.environ, "COMPETITION": "..", "MODEL": "noise"}
    command = [sys.executable, "targets.py", "submission"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr.splitlines()[0]) == (3, "error: there is no competition '..'")


@pytest.mark.parametrize("seed", ["1; x", "../../x", "٣", "-1", "1e3"])
def test_a_seed_is_a_number(seed: str) -> None:
    with pytest.raises(UsageError, match="SEED is"):
        commands("submission", SEED=seed)


def test_the_first_failure_ends_the_word(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fails_then_goes_on(v: targets.Variables) -> object:
        yield [sys.executable, "-c", "raise SystemExit(3)"]
        yield [sys.executable, "-c", f"open({str(tmp_path / 'there')!r}, 'w')"]

    monkeypatch.setitem(targets.WORDS, "score", fails_then_goes_on)
    assert targets.main(["score"]) == 3
    assert not (tmp_path / "there").exists()


def test_a_word_that_is_told_to_stop_tells_its_command(start: Callable[..., subprocess.Popen[str]]) -> None:
    """A scheduler stops a job with SIGTERM: drawing must not go on without it."""
    code = (
        "import sys, targets; targets.WORDS['score'] = lambda v: (command for command in [[sys.executable, '-u', '-c',"
        " 'import os, time; print(os.getpid()); time.sleep(600)']]); sys.exit(targets.main(['score']))"
    )
    process = start([sys.executable, "-c", code], cwd=ROOT, stderr=None)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.terminate()
    process.communicate()
    assert process.returncode == 128 + 15
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
