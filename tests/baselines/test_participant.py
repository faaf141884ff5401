"""A participant's own file."""

from __future__ import annotations

import pytest

import baselines
from baselines import GeneratorError, registry
from submission import Competition
from submission.errors import UsageError

TAKES = """
class Takes(Model):
    def __init__(self, competition, device, steps=4):
        self.got = (competition, device, steps)
"""


def test_its_constructor_gets_what_it_names(tiny_competition, model_file) -> None:
    competition = tiny_competition(2)
    model = model_file(TAKES, "Takes")
    assert baselines.load(model, competition, "cpu").got == (competition, "cpu", 4)
    assert baselines.load(model, competition, "cpu", steps=9).got == (competition, "cpu", 9)
    assert registry.recipe(model, competition).uses_device
    with pytest.raises(UsageError, match=r"my_model.py:Takes takes no --weights: it takes --steps"):
        baselines.load(model, competition, "cpu", weights="x")


def test_without_a_constructor_it_gets_nothing(tiny_competition, model_file) -> None:
    competition = tiny_competition(2)
    assert baselines.load(model_file(), competition, "cpu").batch_size == 4
    assert not registry.recipe(model_file(), competition).uses_device


def test_a_file_beside_it_can_be_imported(tiny_competition, model_file, tmp_path) -> None:
    (tmp_path / "beside_my_model.py").write_text("answer = 42\n")
    model = model_file("import beside_my_model\nModel.answer = beside_my_model.answer\n")
    assert baselines.load(model, tiny_competition(2), "cpu").answer == 42


def test_a_dataclass_works(tiny_competition, model_file) -> None:
    model = model_file("import dataclasses\n@dataclasses.dataclass\nclass D(Model):\n    steps: int = 3\n", "D")
    assert baselines.load(model, tiny_competition(2), "cpu", steps=5).steps == 5


@pytest.mark.parametrize(
    ("body", "name", "error", "said"),
    [
        ("", "Modle", UsageError, "no class Modle; did you mean Model"),
        ("", "", UsageError, r"names no class: say .*my_model.py:Model"),
        ("class No:\n    pass\n", "No", UsageError, r"no method generate\(self, prompts, seeds\)"),
        ("def Fun(): pass\n", "Fun", UsageError, "no class Fun"),
        (
            "class M(Model):\n    def __init__(self, gpus): pass\n",
            "M",
            UsageError,
            r"gpus[\s\S]*offered: competition, device",
        ),
        ("class M(Model):\n    def __init__(self): 1 / 0\n", "M", GeneratorError, r"ZeroDivisionError[\s\S]*line"),
        (
            "import no_such_module_x\n",
            "Model",
            GeneratorError,
            r"cannot be loaded: ModuleNotFoundError[\s\S]*my_model.py, line",
        ),
        ("def broken(:\n", "Model", GeneratorError, r"SyntaxError[\s\S]*my_model.py, line"),
    ],
)
def test_what_is_wrong_with_it_is_said(tiny_competition, model_file, body, name, error, said) -> None:
    with pytest.raises(error, match=said):
        baselines.load(model_file(body, name), tiny_competition(2), "cpu")


def test_no_such_file(tiny_competition) -> None:
    competition: Competition = tiny_competition(2)
    with pytest.raises(UsageError, match=r"no file nowhere/my_model\.py"):
        baselines.load("nowhere/my_model.py:Model", competition, "cpu")
