"""MODEL names, their options, and what a person reads when one is wrong."""

from __future__ import annotations

import subprocess
import sys
import types
from importlib.util import find_spec
from pathlib import Path

import pytest

import baselines
from baselines import listing, registry
from baselines import options as option
from baselines.__main__ import main
from baselines.hardware import Hardware
from submission import Competition, CompetitionError, MissingPart
from submission.errors import UsageError, run

CPU = Hardware("cpu", "float32", "a test")

ROOT = Path(__file__).resolve().parents[2]


class Loaded:
    def __init__(self, *arguments: object, **options: object) -> None:
        self.arguments, self.options = arguments, options


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model "stub" that takes steps and weights and remembers how it was loaded."""
    module = types.ModuleType("stub_model")
    module.make = Loaded  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stub_model", module)
    model = registry.Model("stub_model:make", "a stub", options=("weights", "steps"), files=("{weights}/stub",))
    monkeypatch.setitem(registry.MODELS, "stub", model)


def with_table(competition: Competition, table: str) -> Competition:
    with (competition.root / "competition.toml").open("a") as file:
        file.write(table)
    return Competition.load(competition.root)


def test_every_shipped_model_can_be_found() -> None:
    for name, model in registry.MODELS.items():
        assert find_spec(model.target.partition(":")[0]) is not None, name
        assert set(model.options) <= set(option.OPTIONS), name
        assert model.description, name


def test_load_passes_on_what_was_given(stub, tiny_competition) -> None:
    competition = tiny_competition(2)
    loaded = baselines.load("stub", competition, "cpu", steps=7, weights=None)
    assert loaded.arguments[0] is competition
    assert (loaded.arguments[1].device, loaded.arguments[1].precision) == ("cpu", "float32")
    assert loaded.options == {"steps": 7}


def test_the_competitions_defaults_give_way_to_the_callers(stub, tiny_competition) -> None:
    competition = with_table(
        tiny_competition(2), '[baselines.stub]\nsteps = 5\nbatch_size = 3\nweights = "references"\n'
    )
    recipe = registry.recipe("stub", competition, steps=9)
    assert recipe.batch_size == 3
    assert recipe.options == {"steps": 9, "weights": str(competition.root / "references")}
    assert recipe.load(CPU).options == recipe.options


@pytest.mark.parametrize(
    ("weights", "expected"), [("some/hub-model", "some/hub-model"), ("{data}/stub", "{home}/tiny/stub")]
)
def test_weights_that_are_no_path_there_stay_a_name(
    stub, tiny_competition, tmp_path, monkeypatch, weights, expected
) -> None:
    monkeypatch.setenv("DRAWOFF_DATA", str(tmp_path / "home"))
    competition = with_table(tiny_competition(2), f'[baselines.stub]\nweights = "{weights}"\n')
    found = registry.recipe("stub", competition).options["weights"]
    assert found == expected.format(home=tmp_path / "home")
    assert listing.missing_parts("stub", competition) == [f"weights {found}"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("stepz = 5", r"competition.toml: \[baselines.stub\] has the unknown key 'stepz': did you mean 'steps'"),
        ("guidance_scale = 5.0", r"unknown key 'guidance_scale': it takes weights, steps, batch_size"),
        ("steps = 0", "steps is 0"),
        ("steps = 2.5", "steps is 2.5"),
        ("steps = true", "steps is True"),
        ('weights = ""', "weights is ''"),
        ("batch_size = -1", "batch_size is -1"),
    ],
)
def test_the_competitions_table_is_checked(stub, tiny_competition, table, said) -> None:
    with pytest.raises(CompetitionError, match=said):
        registry.recipe("stub", with_table(tiny_competition(2), f"[baselines.stub]\n{table}\n"))


def test_an_option_that_the_model_does_not_take(stub, tiny_competition) -> None:
    competition = tiny_competition(2)
    with pytest.raises(UsageError, match=r"stub takes no --guidance-scale: it takes --weights, --steps"):
        baselines.load("stub", competition, "cpu", guidance_scale=3.0)
    with pytest.raises(UsageError, match=r"noise takes no --steps: it takes no options"):
        baselines.load("noise", competition, "cpu", steps=3)
    with pytest.raises(UsageError, match=r"--steps is 0"):
        baselines.load("stub", competition, "cpu", steps=0)


def test_an_unknown_model_lists_the_models(tiny_competition, capsys) -> None:
    competition = tiny_competition(2)
    code = run(main, ["monstre", "--competition", str(competition.root)])
    said = capsys.readouterr().err
    assert code == 2
    assert "did you mean 'monster'?" in said
    assert all(name in said and model.description in said for name, model in registry.MODELS.items())
    assert "FILE.py:Class" in said


def test_a_missing_package_is_named(stub, tiny_competition, monkeypatch) -> None:
    model = registry.Model("stub_model:make", "a stub", packages=("no_such_package",))
    monkeypatch.setitem(registry.MODELS, "stub", model)
    competition = tiny_competition(2)
    with pytest.raises(MissingPart, match=r"no_such_package[\s\S]*pip install"):
        baselines.load("stub", competition, "cpu")
    assert listing.missing_parts("stub", competition) == ["package no_such_package"]


def test_the_list_says_what_is_here(stub, tiny_competition, training_set, capsys, monkeypatch) -> None:
    competition = tiny_competition(2)
    monkeypatch.setenv("COLUMNS", "80")
    assert listing.missing_parts("noise", competition) == []
    assert listing.missing_parts("nearest", competition) == []
    assert listing.missing_parts("mean-image", competition) == []
    assert listing.missing_parts("stub", competition) == [str(ROOT / "baselines/weights/stub")]
    (training_set / "train_info.json").unlink()
    assert listing.missing_parts("nearest", competition) == [str(training_set / "train_info.json")]
    assert len(listing.missing_parts("mean-image", competition)) == 1
    assert run(main, ["--list", "--competition", str(competition.root)]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in registry.MODELS)
    assert "no baselines/weights/stub" in said
    assert max(map(len, said.splitlines())) <= 80


def test_no_model_is_wrong_usage(capsys) -> None:
    assert run(main, []) == 2
    assert "--list" in capsys.readouterr().err


def test_neither_import_nor_help_nor_list_waits_for_torch(tiny_competition, tmp_path) -> None:
    root = tiny_competition(2).root
    code = (
        "import sys, baselines.__main__ as command\n"
        f"command.main(['noise', '--competition', {str(root)!r}, '--out', {str(tmp_path / 'out')!r}])\n"
        f"command.main(['--list', '--competition', {str(root)!r}])\n"
        "assert not {'torch', 'diffusers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
