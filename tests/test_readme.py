"""What the README tells people to write works, as it stands there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import baselines
from baselines import participant
from scorer import cheating
from submission import Competition, image_hashes, image_seed

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
SUBCOMMANDS = (
    "cache",
    "check",
    "data",
    "hashes",
    "import",
    "inpaint",
    "pack",
    "protocols",
    "remove",
    "rename",
    "sheet",
    "show",
    "table",
    "validate",
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_generator_draws(tmp_path: Path) -> None:
    (code,) = blocks("python")
    (tmp_path / "my_model.py").write_text(code)
    competition = Competition.load("bestiary")
    model = baselines.load(f"{tmp_path / 'my_model.py'}:MyModel", competition, "cpu")
    prompts = competition.prompts[:5]
    texts = [prompt.text for prompt in prompts]
    seeds = [image_seed(0, prompt.image_name) for prompt in prompts]
    images = model.generate(texts, seeds)
    assert (images.shape, images.dtype) == ((5, 64, 64, 3), np.uint8)
    assert (model.generate(texts[::-1], seeds[::-1])[::-1] == images).all()


def test_the_generator_repeats_nothing_and_sees_every_colour(tmp_path: Path) -> None:
    """What made it suspect: few different images; a colour before a comma was none."""
    (code,) = blocks("python")
    (tmp_path / "my_model.py").write_text(code)
    competition = Competition.load("bestiary")
    model = baselines.load(f"{tmp_path / 'my_model.py'}:MyModel", competition, "cpu")
    prompts = competition.prompts
    seeds = [image_seed(0, prompt.image_name) for prompt in prompts]
    images = model.generate([prompt.text for prompt in prompts], seeds)
    texts, names = zip(*[(prompt.text, prompt.image_name) for prompt in prompts], strict=True)
    queries = np.stack([image_hashes.query(image) for image in images])
    findings = cheating.find(queries, names, texts, training=competition.training_hashes())
    assert {name: finding.count for name, finding in findings.items()} == {
        "training_copies": 0, "repeats": 0, "flat": 0,
    }  # fmt: skip
    assert [check.passed for check in competition.rules.check(findings, {}) if check.rule == "max_repeats"] == [True]
    assert (model.generate(["A bat, blue, with horns."], [1]) == model.generate(["Blue bat."], [1])).all()
    assert (model.generate(["A bat."], [1]) != model.generate(["Blue bat."], [1])).any()


def test_a_constructor_gets_what_it_names(tmp_path: Path) -> None:
    (code,) = blocks("python")
    (line,) = re.findall(r"`(def __init__\(self, [^`]*:)`", README)
    model = tmp_path / "my_model.py"
    model.write_text(f"{code}\n    {line}\n        self.got = device, weights\n")
    loaded = baselines.load(f"{model}:MyModel", Competition.load("bestiary"), "cpu", weights="elsewhere")
    assert loaded.got == ("cpu", "elsewhere")
    sentence = re.search(r"its `__init__` gets what it names of ([^.]*)\.", README)
    assert sentence is not None
    assert set(re.findall(r"`(\w+)`", sentence[1])) <= set(participant.OFFERED)


def test_the_competition_is_one(tmp_path: Path) -> None:
    (text,) = blocks("toml")
    (tmp_path / "competition.toml").write_text(text)
    competition = Competition.load(tmp_path)
    assert competition.tier(competition.gate).thresholds == {"fid": 90.0, "clip_i": 0.75, "clip_t": 0.27}


@pytest.mark.parametrize("line", re.findall(r"python -m ([^#`\n]+)", README))
def test_a_command_has_the_options_that_are_given_to_it(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    room, *words = line.split()
    if not room.isidentifier():  # "python -m …": all of them
        return
    main = importlib.import_module(f"{room}.__main__").main
    command = [word for word in words[:1] if word in SUBCOMMANDS]
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    known = capsys.readouterr().out
    assert [word for word in words if word.startswith("--") and word not in known] == []


def test_a_command_can_be_pasted() -> None:
    """Without an environment's python on the way, `python -m` finds none of ours."""
    wanted = r"(?:python|torchrun\b.*|accelerate launch\b.*) -m (?:submission|scorer|baselines|leaderboard)"
    assert re.findall(rf"^.*(?<!\.venv/bin/)\b{wanted}.*$", README, re.MULTILINE) == []


@pytest.mark.parametrize("line", sorted(set(re.findall(r"make [a-z]+[^#`\n]*", "\n".join(blocks("console"))))))
def test_a_target_and_its_variables_are_in_the_makefile(line: str) -> None:
    assert re.search(rf"^{line.split()[1]}:", MAKEFILE, re.MULTILINE)
    for variable in re.findall(r"\b([A-Z_]+)=", line):
        assert re.search(rf"^{variable} +\?=|\({variable}\)", MAKEFILE, re.MULTILINE), variable
