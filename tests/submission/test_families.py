"""Which prompts belong together: equal ones, those that the competition's `group` names, and what these share."""

from __future__ import annotations

import json

import pytest

from submission import Competition, CompetitionError
from submission.__main__ import main
from submission.errors import run
from submission.families import families, problems_of_group
from submission.prompts import Prompt


def prompts(*entries: tuple[str, str], **columns: list[str]) -> list[Prompt]:
    """Entries (key, text), and columns that the list has besides."""
    return [
        Prompt(f"{key}.png", text, key, {"id": key, **{name: values[i] for name, values in columns.items()}})
        for i, (key, text) in enumerate(entries)
    ]


def test_equal_prompts_are_one_family_and_others_are_not() -> None:
    entries = prompts(("1", "a cat"), ("2", "a dog"), ("3", "a cat"), ("4", "A  Cat "), ("5", "a cat."))
    assert families(entries) == (0, 1, 0, 0, 2)


@pytest.mark.parametrize("group", ["^([0-9]+)_", "^(?P<monster>[0-9]+)_", "(.+?)_", "monster"])
def test_a_group_by_expression_or_by_column(group: str) -> None:
    entries = prompts(("12_main", "a"), ("1_main", "b"), ("12_hit1", "c"), monster=["twelve", "one", "twelve"])
    assert families(entries, group) == (0, 1, 0)


def test_groups_that_share_a_prompt_are_one_family() -> None:
    """Whatever the order in which they meet, and over any number of steps."""
    entries = prompts(("1_a", "x"), ("2_a", "y"), ("3_a", "z"), ("2_b", "z"), ("1_b", "y"), ("4_a", "w"))
    assert families(entries, "^([0-9]+)_") == (0, 0, 0, 0, 0, 1)
    chain = prompts(*[(f"{i // 2}_{i % 2}", f"text {(i + 1) // 2}") for i in range(3000)])
    assert set(families(chain, "^([0-9]+)_")) == {0}
    assert set(families(chain[::-1], "^([0-9]+)_")) == {0}


def test_a_column_value_is_not_taken_for_a_prompt() -> None:
    assert families(prompts(("1", "red"), ("2", "blue"), colour=["blue", "red"]), "colour") == (0, 1)


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ("([0-9]+", "is not a regular expression"),
        ("[0-9]+_", "has 0 groups in (…), not one"),
        ("([0-9]+)_([a-z]+)", "has 2 groups in (…), not one"),
    ],
)
def test_an_expression_that_cannot_be_is_found_on_loading(tiny_competition, group: str, said: str) -> None:
    assert problems_of_group(group)
    file = tiny_competition().root / "competition.toml"
    file.write_text(file.read_text().replace("gate =", f"group = '{group}'\ngate =", 1))
    with pytest.raises(CompetitionError) as caught:
        Competition.load(file)
    assert f"competition.group: {group!r} {said}" in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ("animal", "'animal' is no column of the prompt list (it has: id, monster)"),
        ("^([a-z]+)_", "finds nothing in this entry's key"),
        ("^([a-z]*)", "finds nothing in this entry's key"),
        ("^(x)?[0-9]", "finds nothing in this entry's key"),
        ("monster", "the column 'monster', which says what belongs together, is empty here"),
    ],
)
def test_a_group_that_does_not_fit_the_prompts_says_what_and_where(group: str, said: str) -> None:
    with pytest.raises(CompetitionError) as caught:
        families(prompts(("1_main", "a"), ("2_main", "b"), monster=["one", " "]), group)
    assert said in str(caught.value)
    if "column of" not in said:
        assert "2_main" in str(caught.value)


def test_the_bestiary_has_166_monsters() -> None:
    competition = Competition.load("bestiary")
    of_family: dict[int, set[str]] = {}
    for prompt, family in zip(competition.prompts, competition.families, strict=True):
        of_family.setdefault(family, set()).add(prompt.key.split("_")[0])
    assert len(of_family) == 166
    assert all(len(monsters) == 1 for monsters in of_family.values())


def test_a_competition_says_its_file_and_reads_both_kinds_of_list(tiny_competition) -> None:
    root = tiny_competition().root
    file = root / "competition.toml"
    text = file.read_text()
    listed = {f"key{i}": {"image_name": f"{i}.png", "text_prompt": f"monster {i}", "pack": i // 2} for i in range(6)}
    (root / "test.json").write_text(json.dumps(listed))
    file.write_text(text.replace("gate =", 'group = "pack"\ngate =', 1))
    assert Competition.load(file).families == (0, 0, 1, 1, 2, 2)
    rows = [f"{i}.png,monster {i},{'ab'[i % 2]}" for i in range(6)]
    (root / "list.csv").write_text("\n".join(["id,prompt,pack", *rows]) + "\n")
    file.write_text(file.read_text().replace("test.json", "list.csv"))
    assert Competition.load(file).families == (0, 1, 0, 1, 0, 1)
    (root / "list.csv").write_text("\n".join(["ID;Prompt;Pack Name", *(row.replace(",", ";") for row in rows)]) + "\n")
    file.write_text(file.read_text().replace('group = "pack"', 'group = "Pack Name"'))
    assert Competition.load(file).families == (0, 1, 0, 1, 0, 1)
    file.write_text(file.read_text().replace('group = "Pack Name"', 'group = "herd"'))
    with pytest.raises(CompetitionError) as caught:
        _ = Competition.load(file).families
    assert str(file) in str(caught.value)
    assert "'herd' is no column of the prompt list (it has: id, prompt, pack_name)" in str(caught.value)


def test_a_host_hears_of_it_before_participants_do(tiny_competition, capsys: pytest.CaptureFixture[str]) -> None:
    competition = tiny_competition()
    file = competition.root / "competition.toml"
    command = ["data", "--competition", str(file)]
    assert run(main, command) == 0
    assert "8 prompts in 8 families" in capsys.readouterr().out
    file.write_text(file.read_text().replace("gate =", 'group = "herd"\ngate =', 1))
    assert run(main, command) == 3
    assert "'herd' is no column of the prompt list" in capsys.readouterr().err
