"""What the README tells people to write works, as it stands there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import baselines
from submission import Competition, image_seed

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
SUBCOMMANDS = ("cache", "check", "data", "hashes", "inpaint", "pack", "protocols", "sheet", "show", "table")


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


@pytest.mark.parametrize("line", sorted(set(re.findall(r"make [a-z]+[^#`\n]*", "\n".join(blocks("console"))))))
def test_a_target_and_its_variables_are_in_the_makefile(line: str) -> None:
    assert re.search(rf"^{line.split()[1]}:", MAKEFILE, re.MULTILINE)
    for variable in re.findall(r"\b([A-Z_]+)=", line):
        assert re.search(rf"^{variable} +\?=|\({variable}\)", MAKEFILE, re.MULTILINE), variable
